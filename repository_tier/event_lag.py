"""How far the relay and the consumers are behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from repository_tier.database import Database
from repository_tier.event_log.log import EventLog, GroupLag
from repository_tier.outbox_claims import unpublished_lag
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline


@dataclass(frozen=True, slots=True)
class Lag:
    """How many events are not published, for how many seconds the oldest, and each group."""

    unpublished: int
    oldest_age: float | None
    groups: Sequence[GroupLag]


class EventLag:
    """Reads how far everything is behind."""

    def __init__(self, database: Database, log: EventLog, clock: Clock) -> None:
        self._database = database
        self._log = log
        self._clock = clock

    def read(self, deadline: Deadline) -> Lag:
        """Return it as it is now."""
        count, age = self.unpublished(deadline)
        return Lag(count, age, self.groups(deadline))

    def unpublished(self, deadline: Deadline) -> tuple[int, float | None]:
        """Return how many events are not published, and for how many seconds the oldest."""
        now = self._clock.now()
        return self._database.read(deadline, lambda reader: unpublished_lag(reader, now))

    def groups(self, deadline: Deadline) -> Sequence[GroupLag]:
        """Return how far each group is behind."""
        return self._log.lag(deadline)
