"""The log without Redis: a row for each event that a group has still to settle."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from random import Random
from threading import Event

from sqlalchemy import Connection, RowMapping, delete, select, update

from repository_tier.database import Database
from repository_tier.event_log import table_rows
from repository_tier.event_log.groups import held_groups
from repository_tier.event_log.log import (
    LEASE_RAN_OUT,
    Consumption,
    DeadLetter,
    GroupLag,
    Outcome,
    PublishedEvent,
    RetryRule,
    Settled,
    TakenEvent,
)
from repository_tier.event_log.table_follower import TableFollower, start_of
from repository_tier.tables import event_deliveries, event_groups, outbox_events
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline

# No backlog is too long for a table.
ROOM = 1_000_000
# How often somebody who waits for events looks.
LOOK_SECONDS = 0.1


class TableLog:
    """Implements EventLog."""

    def __init__(self, database: Database, clock: Clock, random: Random, retry: RetryRule) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self._retry = retry
        self._known_groups: set[str] = set()
        # Whoever waits for events waits on it.
        self._closed = Event()

    def room(self) -> int:
        """Return that there is always room."""
        return ROOM

    def publish(
        self, connection: Connection, events: Sequence[PublishedEvent], now: datetime
    ) -> None:
        """Give each group a delivery of each event.

        The groups are read with a lock, so that this waits for one that is being made. Whoever
        makes one gives it every event that is there: each event is given by one of the two.
        """
        positions = [event.position for event in events]
        table_rows.give(connection, held_groups(connection), positions, now)

    def take(
        self, wanted: Consumption, most: int, wait_seconds: float, deadline: Deadline
    ) -> Sequence[TakenEvent]:
        """Hand out what is due."""
        self._require_group(wanted.group, deadline)
        waited = 0.0
        while True:
            taken = self._take_due(wanted, most, deadline)
            if taken or waited >= wait_seconds or self._closed.wait(LOOK_SECONDS):
                return taken
            waited += LOOK_SECONDS

    def settle(self, group: str, settled: Sequence[Settled], deadline: Deadline) -> None:
        """Remove what is done, and put off or give up what is not."""
        now = self._clock.now()
        # Any other id was never given.
        each = {int(one.delivery_id): one for one in settled if one.delivery_id.isdecimal()}
        done = [position for position, one in each.items() if one.outcome is Outcome.DONE]

        def work(connection: Connection) -> None:
            if done:
                connection.execute(delete(event_deliveries).where(table_rows.alive(group, done)))
            for position in sorted(each.keys() - set(done)):
                self._put_off(connection, group, position, each[position], now)

        self._database.write(deadline, work)

    def follow(
        self, types: Collection[str], after_event_id: str, deadline: Deadline
    ) -> TableFollower:
        """Return a reader of the outbox."""
        start = self._database.read(deadline, lambda reader: start_of(reader, after_event_id))
        return TableFollower(self._database, frozenset(types), start, self._closed)

    def dead(
        self, group: str, most: int, before: str, deadline: Deadline
    ) -> tuple[Sequence[DeadLetter], str]:
        """Read the rows of the dead."""
        wanted = table_rows.dead(group, most, int(before) if before.isdecimal() else None)
        rows = self._database.read(deadline, lambda reader: reader.execute(wanted).mappings().all())
        letters = [
            DeadLetter(bytes(row["body"]), row["attempts"], row["error"], row["due_time"])
            for row in rows
        ]
        return letters, str(rows[-1]["position"]) if len(rows) == most else ""

    def lag(self, deadline: Deadline) -> Sequence[GroupLag]:
        """Count the rows of each group."""
        now = self._clock.now()

        def work(connection: Connection) -> list[GroupLag]:
            names = connection.scalars(select(event_groups.c.name).order_by(event_groups.c.name))
            return [table_rows.group_lag(connection, name, now) for name in names.all()]

        return self._database.read(deadline, work)

    def look_after(self, now: datetime) -> None:
        """Do nothing: what is in tables is not lost."""

    def close(self) -> None:
        """Let go of those who wait."""
        self._closed.set()

    def _require_group(self, group: str, deadline: Deadline) -> None:
        if group in self._known_groups:
            return
        now = self._clock.now()
        self._database.write(
            deadline, lambda connection: table_rows.make_group(connection, group, now)
        )
        self._known_groups.add(group)

    def _take_due(self, wanted: Consumption, most: int, deadline: Deadline) -> Sequence[TakenEvent]:
        now = self._clock.now()
        look = table_rows.due(wanted.group, now, 1)
        # Whoever only looks takes no turn among the writers.
        if not self._database.read(deadline, lambda reader: reader.execute(look).first()):
            return ()
        return self._database.write(
            deadline, lambda connection: self._take(connection, wanted, most, now)
        )

    def _take(
        self, connection: Connection, wanted: Consumption, most: int, now: datetime
    ) -> list[TakenEvent]:
        found = table_rows.due(wanted.group, now, most).with_for_update(skip_locked=True)
        rows = {row["position"]: row for row in connection.execute(found).mappings()}
        events = connection.execute(
            select(outbox_events.c.position, outbox_events.c.type, outbox_events.c.body)
            .where(outbox_events.c.position.in_(rows))
            .order_by(outbox_events.c.position)
        ).mappings()
        given: list[tuple[RowMapping, RowMapping]] = []
        unwanted = set(rows)
        for event in events:
            row = rows[event["position"]]
            if event["type"] not in wanted.types:
                continue
            unwanted.discard(event["position"])
            if row["attempts"] < self._retry.max_attempts:
                given.append((row, event))
            else:
                table_rows.bury(
                    connection,
                    wanted.group,
                    row["position"],
                    attempts=row["attempts"],
                    error=row["error"] or LEASE_RAN_OUT,
                    now=now,
                )
        if unwanted:
            connection.execute(
                delete(event_deliveries).where(table_rows.alive(wanted.group, unwanted))
            )
        if given:
            positions = [row["position"] for row, _ in given]
            connection.execute(
                update(event_deliveries)
                .where(table_rows.alive(wanted.group, positions))
                .values(
                    attempts=event_deliveries.c.attempts + 1,
                    due_time=now + timedelta(seconds=wanted.lease_seconds),
                )
            )
        return [
            TakenEvent(str(row["position"]), row["attempts"] + 1, bytes(event["body"]))
            for row, event in given
        ]

    def _put_off(
        self, connection: Connection, group: str, position: int, told: Settled, now: datetime
    ) -> None:
        this = table_rows.alive(group, [position])
        attempts = connection.scalar(
            select(event_deliveries.c.attempts).where(this).with_for_update()
        )
        if attempts is None:
            return
        counts = told.outcome is Outcome.FAILED
        if counts and attempts >= self._retry.max_attempts:
            table_rows.bury(
                connection, group, position, attempts=attempts, error=told.error, now=now
            )
            return
        pause = self._retry.pause_after(attempts if counts else 1, self._random.random())
        connection.execute(
            update(event_deliveries)
            .where(this)
            .values(
                attempts=attempts if counts else max(attempts - 1, 0),
                due_time=now + timedelta(seconds=pause),
                error=told.error or event_deliveries.c.error,
            )
        )
