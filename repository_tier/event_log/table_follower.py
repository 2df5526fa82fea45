"""Reads events straight from the outbox, in the order of their positions."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import Any

from sqlalchemy import Connection, Row, func, select

from repository_tier.database import Database
from repository_tier.event_log.event_times import begin_of
from repository_tier.tables import outbox_events
from tier_runtime.deadline import Deadline

PAGE = 200
LOOK_SECONDS = 0.1

_POSITION = outbox_events.c.position


def start_of(connection: Connection, after_event_id: str) -> int:
    """Return the position behind which a reader begins."""
    if not after_event_id:
        newest: int | None = connection.scalar(select(func.max(_POSITION)))
        return newest or 0
    known: int | None = connection.scalar(
        select(_POSITION).where(outbox_events.c.id == after_event_id)
    )
    if known is not None:
        return known
    later: int | None = connection.scalar(
        select(_POSITION)
        .where(outbox_events.c.created_time >= begin_of(after_event_id))
        .order_by(_POSITION)
        .limit(1)
    )
    return start_of(connection, "") if later is None else later - 1


class TableFollower:
    """Implements Follower.

    SQLite commits in the order of the positions, so nothing appears behind its back. MySQL without
    Redis may commit two transactions the other way round, and the earlier position is not read
    then; consumers, who have rows of their own, get it all the same.
    """

    def __init__(
        self, database: Database, types: frozenset[str], position: int, closed: Event
    ) -> None:
        self._database = database
        self._position = position
        self._closed = closed
        self._wanted = select(_POSITION, outbox_events.c.body).order_by(_POSITION).limit(PAGE)
        if types:
            self._wanted = self._wanted.where(outbox_events.c.type.in_(sorted(types)))

    def read(self, wait_seconds: float, deadline: Deadline) -> Sequence[bytes]:
        """Return the next events."""
        waited = 0.0
        while True:
            rows = self._database.read(deadline, self._next)
            if rows:
                self._position = rows[-1].position
                return [bytes(row.body) for row in rows]
            if waited >= wait_seconds or self._closed.wait(LOOK_SECONDS):
                return ()
            waited += LOOK_SECONDS

    def _next(self, connection: Connection) -> Sequence[Row[Any, Any]]:
        return connection.execute(self._wanted.where(self._position < _POSITION)).all()
