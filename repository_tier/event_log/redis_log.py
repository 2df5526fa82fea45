"""The log over Redis Streams: one stream, a consumer group for each group of ours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from random import Random
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError
from sqlalchemy import Connection

from repository_tier.database import Database
from repository_tier.event_log.log import (
    LEASE_RAN_OUT,
    Consumption,
    DeadLetter,
    GroupLag,
    PublishedEvent,
    RetryRule,
    Settled,
    TakenEvent,
)
from repository_tier.event_log.redis_follower import RedisFollower
from repository_tier.event_log.redis_loss import LossRecovery
from repository_tier.event_log.redis_scripts import SETTLE, TAKE_AGAIN
from repository_tier.event_log.redis_streams import (
    EventStreams,
    GroupKeys,
    is_no_group,
    moment,
    redis_errors,
)
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline

DEAD_EVENTS_KEPT = 10_000


class RedisLog:
    """Implements EventLog."""

    def __init__(
        self,
        client: Redis,
        database: Database,
        clock: Clock,
        random: Random,
        *,
        retry: RetryRule,
        max_length: int,
    ) -> None:
        self._client = client
        self._streams = EventStreams(client, max_length)
        self._recovery = LossRecovery(self._streams, client, database)
        self._clock = clock
        self._random = random
        self._retry = retry
        self._max_length = max_length
        self._take_again = client.register_script(TAKE_AGAIN)
        self._settle = client.register_script(SETTLE)

    def room(self) -> int:
        """Return how much may be added before a group is behind by half of the stream.

        Nothing is cut off that a group has still to settle, so the stream would only grow.
        """
        with redis_errors():
            groups = self._streams.groups().values()
        behind = max((group.waiting for group in groups), default=0)
        return max(self._max_length // 2 - behind, 0)

    def publish(
        self, connection: Connection, events: Sequence[PublishedEvent], now: datetime
    ) -> None:
        """Append the events to the stream, while nobody looks for what Redis has lost."""
        self._recovery.hold_off(connection)
        with redis_errors():
            self._streams.add(events, now)

    def take(
        self, wanted: Consumption, most: int, wait_seconds: float, deadline: Deadline
    ) -> Sequence[TakenEvent]:
        """Hand out what is due again, and what is new."""
        with redis_errors():
            try:
                return self._take(wanted, most, wait_seconds)
            except ResponseError as error:
                if not is_no_group(error):
                    raise
            self._recovery.make_group(wanted.group, self._clock.now(), deadline)
        return ()

    def settle(self, group: str, settled: Sequence[Settled], deadline: Deadline) -> None:
        """Settle each delivery by a step of its own."""
        del deadline
        keys = GroupKeys.of(group).of_scripts()
        rule = self._retry
        with redis_errors(), self._client.pipeline(transaction=False) as pipeline:
            for one in settled:
                self._settle(
                    keys=keys,
                    args=[
                        group,
                        one.delivery_id,
                        one.outcome.value,
                        one.error,
                        rule.max_attempts,
                        DEAD_EVENTS_KEPT,
                        int(rule.first_pause_seconds * 1000),
                        int(rule.longest_pause_seconds * 1000),
                        self._random.random(),
                    ],
                    client=pipeline,
                )
            pipeline.execute()

    def follow(
        self, types: Collection[str], after_event_id: str, deadline: Deadline
    ) -> RedisFollower:
        """Return a reader of the stream."""
        with redis_errors():
            return RedisFollower.after(self._streams, frozenset(types), after_event_id, deadline)

    def dead(
        self, group: str, most: int, before: str, deadline: Deadline
    ) -> tuple[Sequence[DeadLetter], str]:
        """Read the group's stream of dead events."""
        del deadline
        newest = f"({before}" if before else "+"
        with redis_errors():
            found: Any = self._client.xrevrange(GroupKeys.of(group).dead, max=newest, count=most)
        letters = [
            DeadLetter(
                fields[b"body"],
                int(fields[b"attempts"]),
                fields[b"error"].decode(),
                moment(int(entry_id.partition(b"-")[0]) / 1000),
            )
            for entry_id, fields in found
        ]
        return letters, found[-1][0].decode() if len(found) == most else ""

    def lag(self, deadline: Deadline) -> Sequence[GroupLag]:
        """Ask Redis about each group."""
        del deadline
        now = self._clock.now().timestamp()
        lags = []
        with redis_errors():
            for name, state in sorted(self._streams.groups().items()):
                keys = GroupKeys.of(name)
                refused: Any = self._client.zcard(keys.again)
                dead: Any = self._client.xlen(keys.dead)
                oldest = self._recovery.oldest_unsettled(name, state)
                age = None if oldest is None else max(now - oldest, 0.0)
                unsettled = state.waiting + state.in_hand + refused
                lags.append(GroupLag(name, unsettled, refused, age, dead))
        return lags

    def look_after(self, now: datetime) -> None:
        """Note how far each group is, and have published again what Redis has lost."""
        with redis_errors():
            self._recovery.look(now)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _take(self, wanted: Consumption, most: int, wait_seconds: float) -> list[TakenEvent]:
        found: Any = self._take_again(
            keys=GroupKeys.of(wanted.group).of_scripts(),
            args=[
                wanted.group,
                int(wanted.lease_seconds * 1000),
                # However many come again, they leave room for what is new.
                (most + 1) // 2,
                self._retry.max_attempts,
                DEAD_EVENTS_KEPT,
                LEASE_RAN_OUT,
                *sorted(wanted.types),
            ],
        )
        again = [TakenEvent(each[0].decode(), int(each[1]), each[2]) for each in found]
        left = most - len(again)
        return again + self._take_new(wanted, left, 0.0 if again else wait_seconds)

    def _take_new(self, wanted: Consumption, most: int, wait_seconds: float) -> list[TakenEvent]:
        if most == 0:
            return []
        entries = self._streams.read_new(wanted.group, most, wait_seconds)
        unwanted = [each.entry_id for each in entries if each.type not in wanted.types]
        if unwanted:
            self._streams.settle_unseen(wanted.group, unwanted)
        return [
            TakenEvent(each.entry_id, 1, each.body) for each in entries if each.type in wanted.types
        ]
