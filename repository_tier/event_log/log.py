"""What a log of published events does, wherever it is kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from sqlalchemy import Connection

from repository_tier.backoff import pause_seconds
from tier_runtime.deadline import Deadline

# What a dead event says whose consumers never told what became of it.
LEASE_RAN_OUT = "No consumer settled it before its lease ran out."


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """An event of the outbox on its way into the log. `body` is the whole message, serialized."""

    position: int
    id: str
    type: str
    aggregate: tuple[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Consumption:
    """What a consumer asks for; the lease is in seconds."""

    group: str
    types: frozenset[str]
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class TakenEvent:
    """An event that a consumer holds for the time of its lease; `attempt` counts from 1."""

    delivery_id: str
    attempt: int
    body: bytes


class Outcome(StrEnum):
    """What became of a delivery."""

    DONE = "done"
    FAILED = "failed"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Settled:
    """What a consumer says about one delivery."""

    delivery_id: str
    outcome: Outcome
    error: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was given up."""

    body: bytes
    attempts: int
    error: str
    dead_time: datetime


@dataclass(frozen=True, slots=True)
class GroupLag:
    """How far a group is behind; the age is in seconds, None where nothing waits."""

    group: str
    unsettled: int
    refused: int
    oldest_age: float | None
    dead: int


@dataclass(frozen=True, slots=True)
class RetryRule:
    """How often an event is tried, and how long it rests in between, in seconds."""

    max_attempts: int
    first_pause_seconds: float
    longest_pause_seconds: float

    def pause_after(self, attempt: int, chance: float) -> float:
        """Return the pause after a failed attempt; see `pause_seconds`."""
        return pause_seconds(attempt, self.first_pause_seconds, self.longest_pause_seconds, chance)


class Follower(Protocol):
    """A reader that settles nothing."""

    def read(self, wait_seconds: float, deadline: Deadline) -> Sequence[bytes]:
        """Return the next events, waiting so long for the first one.

        Raises:
            AppError: UNAVAILABLE/SERVICE_UNAVAILABLE.
        """
        ...


class EventLog(Protocol):
    """A log of published events. Safe in several threads.

    All methods raise AppError: UNAVAILABLE/SERVICE_UNAVAILABLE when its store is away.
    """

    def room(self) -> int:
        """Return how many events may be published now; 0 while consumers are too far behind."""
        ...

    def publish(
        self, connection: Connection, events: Sequence[PublishedEvent], now: datetime
    ) -> None:
        """Publish events, in order, inside the transaction that marks them as published.

        It may happen without the mark, and then happens again.
        """
        ...

    def take(
        self, wanted: Consumption, most: int, wait_seconds: float, deadline: Deadline
    ) -> Sequence[TakenEvent]:
        """Hand events out to one consumer, waiting so long for the first one."""
        ...

    def settle(self, group: str, settled: Sequence[Settled], deadline: Deadline) -> None:
        """Note what became of deliveries."""
        ...

    def follow(self, types: Collection[str], after_event_id: str, deadline: Deadline) -> Follower:
        """Return a reader of the types, or of all; with no id it begins with what comes next."""
        ...

    def dead(
        self, group: str, most: int, before: str, deadline: Deadline
    ) -> tuple[Sequence[DeadLetter], str]:
        """Return events that were given up, the newest first, and where to go on, if anywhere."""
        ...

    def lag(self, deadline: Deadline) -> Sequence[GroupLag]:
        """Return how far each group is behind, in the order of their names."""
        ...

    def look_after(self, now: datetime) -> None:
        """Do what is due now and then; the relay calls it about once a second."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...
