"""Sessions as they are read, and the feed of what changed about access."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import session_repository_pb2
from repository_tier.conversion import role_names, session_from_row
from repository_tier.cursor import Position, list_digest, read_cursor, write_cursor
from repository_tier.database import Database
from repository_tier.paging import Order, Page, after, directed, list_page
from repository_tier.tables import sessions, user_roles, users
from repository_tier.totals import Totals
from repository_tier.user_rows import ROLES
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import timestamp_from
from tier_runtime.validation import invalid

MAX_CHANGES = 1000

_NEWEST_FIRST = Order(sessions.c.created_time, sessions.c.id, datetime, descending=True)


@dataclass(frozen=True, slots=True)
class AccessChanges:
    """One page of the feed; an empty token means that it is the last one."""

    ended: Sequence[session_repository_pb2.EndedSession]
    roles: Sequence[session_repository_pb2.RoleChange]
    next_page_token: str
    read_time: datetime


class SessionLists:
    """Reads sessions."""

    def __init__(
        self, database: Database, totals: Totals, clock: Clock, max_changes: int = MAX_CHANGES
    ) -> None:
        self._database = database
        self._totals = totals
        self._clock = clock
        self._max_changes = max_changes

    def list_living(
        self, user_id: str, page: Page, deadline: Deadline
    ) -> tuple[Sequence[session_repository_pb2.Session], paging_pb2.PageResult]:
        """Return one page of a user's living sessions, newest first.

        Raises:
            AppError: INVALID/VALIDATION_FAILED, for a cursor of another list.
        """
        rows = select(sessions).where(
            sessions.c.user_id == user_id,
            sessions.c.ended_time.is_(None),
            sessions.c.expire_time > self._clock.now(),
        )
        found = self._database.read(
            deadline,
            lambda connection: list_page(
                connection, rows, _NEWEST_FIRST, page, user_id.encode(), totals=self._totals
            ),
        )
        return [session_from_row(row) for row in found.rows], found.place

    def get_living(
        self, session_id: str, deadline: Deadline
    ) -> tuple[session_repository_pb2.Session, Sequence[str]]:
        """Return a living session and its user's roles of now.

        Raises:
            AppError: MISSING/NOT_FOUND.
        """
        joined = (
            select(func.aggregate_strings(user_roles.c.role, ","))
            .where(user_roles.c.user_id == sessions.c.user_id)
            .scalar_subquery()
            .label("roles")
        )
        wanted = select(sessions, joined).where(
            sessions.c.id == session_id,
            sessions.c.ended_time.is_(None),
            sessions.c.expire_time > self._clock.now(),
        )
        row = self._database.read(
            deadline, lambda connection: connection.execute(wanted).mappings().first()
        )
        if row is None:
            raise AppError(Kind.MISSING, "NOT_FOUND", "There is no such session.")
        return session_from_row(row), role_names(row["roles"])

    def changes_since(self, since: datetime, page_token: str, deadline: Deadline) -> AccessChanges:
        """Return sessions that ended and then users whose roles changed, each oldest first.

        Raises:
            AppError: INVALID/VALIDATION_FAILED, for a token of another list.
        """
        # Before the reading: what is committed after this moment belongs to the next answer.
        read_time = self._clock.now()
        return self._database.read(
            deadline,
            lambda connection: self._changes(connection, since, page_token, read_time),
        )

    def _changes(
        self, connection: Connection, since: datetime, page_token: str, read_time: datetime
    ) -> AccessChanges:
        # The two lists go on each by its own cursor, in one token.
        cursors = page_token.split(".") if page_token else ["", ""]
        if len(cursors) != 2:
            raise invalid({"page_token": ["Not a token of this list."]})
        half = self._max_changes // 2
        ended, next_ended = _part(connection, _ENDED, since, cursors[0], half)
        changed, next_changed = _part(connection, _ROLES_CHANGED, since, cursors[1], half)
        is_last = next_ended == next_changed == _EXHAUSTED
        return AccessChanges(
            [_ended_from_row(row) for row in ended],
            [_role_change_from_row(row) for row in changed],
            "" if is_last else f"{next_ended}.{next_changed}",
            read_time,
        )


# Stands for the cursor of a list that has been read to its end.
_EXHAUSTED = "-"


@dataclass(frozen=True, slots=True)
class _Feed:
    rows: Select[Any]
    order: Order


_ENDED = _Feed(
    select(sessions.c.id, sessions.c.ended_time),
    Order(sessions.c.ended_time, sessions.c.id, datetime, descending=False),
)
_ROLES_CHANGED = _Feed(
    select(users.c.id, users.c.roles_changed_time, ROLES),
    Order(users.c.roles_changed_time, users.c.id, datetime, descending=False),
)


def _part(
    connection: Connection, feed: _Feed, since: datetime, cursor: str, longest: int
) -> tuple[Sequence[RowMapping], str]:
    if cursor == _EXHAUSTED:
        return (), _EXHAUSTED
    moment = feed.order.column
    digest = list_digest(moment.name.encode(), since.isoformat().encode())
    wanted = feed.rows.where(moment >= since)
    if cursor:
        try:
            wanted = wanted.where(
                after(feed.order, read_cursor(digest, cursor, datetime), connection.dialect.name)
            )
        except AppError as error:
            raise invalid({"page_token": ["Not a token of this list."]}) from error
    wanted = wanted.order_by(*directed(feed.order)).limit(longest + 1)
    rows = connection.execute(wanted).mappings().all()
    if len(rows) <= longest:
        return rows, _EXHAUSTED
    last = Position(rows[longest - 1][moment.name], rows[longest - 1]["id"])
    return rows[:longest], write_cursor(digest, last)


def _ended_from_row(row: RowMapping) -> session_repository_pb2.EndedSession:
    return session_repository_pb2.EndedSession(
        session_id=row["id"], end_time=timestamp_from(row["ended_time"])
    )


def _role_change_from_row(row: RowMapping) -> session_repository_pb2.RoleChange:
    return session_repository_pb2.RoleChange(
        user_id=row["id"],
        roles=role_names(row["roles"]),
        change_time=timestamp_from(row["roles_changed_time"]),
    )
