"""The rows of the log without Redis, and the statements that read and change them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    exists,
    false,
    func,
    select,
    true,
)

from repository_tier.event_log.groups import insert_group
from repository_tier.event_log.log import GroupLag
from repository_tier.tables import event_deliveries, event_groups, outbox_events
from repository_tier.upserts import insert_all_new, insert_new

# Rows of one statement: SQLite takes 32,766 values in one.
ROWS_AT_ONCE = 1000

_COLUMNS = event_deliveries.c


def alive(group: str, positions: Iterable[int]) -> ColumnElement[bool]:
    """Return what is true of the living deliveries of these events."""
    return and_(
        _COLUMNS.group_name == group,
        _COLUMNS.is_dead == false(),
        _COLUMNS.position.in_(list(positions)),
    )


def due(group: str, now: datetime, most: int) -> Select[Any]:
    """Return the statement that finds what is to be handed out, in order."""
    return (
        select(event_deliveries)
        .where(
            _COLUMNS.group_name == group,
            _COLUMNS.is_dead == false(),
            _COLUMNS.due_time <= now,
        )
        .order_by(_COLUMNS.position)
        .limit(most)
    )


def dead(group: str, most: int, before: int | None) -> Select[Any]:
    """Return the statement that finds what was given up, the newest first, with its event."""
    found = (
        select(event_deliveries, outbox_events.c.body)
        .join(outbox_events, outbox_events.c.position == _COLUMNS.position)
        .where(_COLUMNS.group_name == group, _COLUMNS.is_dead == true())
        .order_by(_COLUMNS.position.desc())
        .limit(most)
    )
    return found if before is None else found.where(_COLUMNS.position < before)


def make_group(connection: Connection, group: str, now: datetime) -> None:
    """Write a group that is not there yet, with a delivery of every event that is kept."""
    if connection.scalar(select(exists().where(event_groups.c.name == group))):
        return
    insert_group(connection, group, "", now)
    give(connection, [group], connection.scalars(select(outbox_events.c.position)).all(), now)


def give(
    connection: Connection, groups: Iterable[str], positions: Sequence[int], now: datetime
) -> None:
    """Write a delivery of each event to each group, unless there is one."""
    rows = [
        {
            "group_name": group,
            "is_dead": False,
            "position": position,
            "due_time": now,
            "attempts": 0,
            "error": "",
        }
        for group in groups
        for position in positions
    ]
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        page = rows[begin : begin + ROWS_AT_ONCE]
        insert_all_new(connection, event_deliveries, page, key="position")


def bury(
    connection: Connection, group: str, position: int, *, attempts: int, error: str, now: datetime
) -> None:
    """Make a living delivery a dead one."""
    connection.execute(delete(event_deliveries).where(alive(group, [position])))
    row = {
        "group_name": group,
        "is_dead": True,
        "position": position,
        "due_time": now,
        "attempts": attempts,
        "error": error,
    }
    insert_new(connection, event_deliveries, row, key="position")


def group_lag(connection: Connection, group: str, now: datetime) -> GroupLag:
    """Count the deliveries of a group."""
    counted = select(func.count()).where(_COLUMNS.group_name == group)
    living = counted.where(_COLUMNS.is_dead == false())
    oldest = connection.scalar(
        select(func.min(outbox_events.c.published_time))
        .join(event_deliveries, outbox_events.c.position == _COLUMNS.position)
        .where(_COLUMNS.group_name == group, _COLUMNS.is_dead == false(), _COLUMNS.error == "")
    )
    return GroupLag(
        group,
        unsettled=connection.scalar(living) or 0,
        refused=connection.scalar(living.where(_COLUMNS.error != "")) or 0,
        oldest_age=None if oldest is None else max((now - oldest).total_seconds(), 0.0),
        dead=connection.scalar(counted.where(_COLUMNS.is_dead == true())) or 0,
    )
