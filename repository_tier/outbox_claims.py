"""What the relay takes from the outbox, and what it leaves there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update

from repository_tier.event_log.log import PublishedEvent
from repository_tier.tables import event_deliveries, outbox_events

_COLUMNS = outbox_events.c
_UNPUBLISHED = _COLUMNS.published_time.is_(None)


def has_unpublished(connection: Connection) -> bool:
    """True when there is something to publish; a look that locks nothing."""
    return (
        connection.execute(select(_COLUMNS.position).where(_UNPUBLISHED).limit(1)).first()
        is not None
    )


def claim(connection: Connection, most: int) -> Sequence[PublishedEvent]:
    """Lock events that are to be published and return them, in order.

    Rows that another relay has locked are passed over, and so is every later event of the same
    aggregate: it would overtake the one that the other relay has not committed yet.
    """
    rows = (
        connection.execute(
            select(outbox_events)
            .where(_UNPUBLISHED)
            .order_by(_COLUMNS.position)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        .mappings()
        .all()
    )
    claimed = [
        PublishedEvent(
            row["position"],
            row["id"],
            row["type"],
            (row["aggregate_type"], row["aggregate_id"]),
            bytes(row["body"]),
        )
        for row in rows
    ]
    if not claimed:
        return claimed
    # What is locked elsewhere is unpublished for whoever reads what is committed.
    earlier = connection.execute(
        select(_COLUMNS.position, _COLUMNS.aggregate_type, _COLUMNS.aggregate_id).where(
            _UNPUBLISHED, _COLUMNS.position < claimed[-1].position
        )
    ).all()
    ours = {event.position for event in claimed}
    elsewhere: dict[tuple[str, str], int] = {}
    for row in earlier:
        if row.position not in ours:
            aggregate = (row.aggregate_type, row.aggregate_id)
            elsewhere[aggregate] = min(row.position, elsewhere.get(aggregate, row.position))
    return [
        event
        for event in claimed
        if event.aggregate not in elsewhere or event.position < elsewhere[event.aggregate]
    ]


def mark_published(connection: Connection, events: Sequence[PublishedEvent], now: datetime) -> None:
    """Note that events have been published."""
    positions = [event.position for event in events]
    connection.execute(
        update(outbox_events).where(_COLUMNS.position.in_(positions)).values(published_time=now)
    )


def remove_published(connection: Connection, before: datetime, most: int) -> int:
    """Remove events that were published before a moment, and return how many.

    Those that a group has still to settle stay; the dead of that time go first.
    """
    dead = event_deliveries.c
    connection.execute(delete(event_deliveries).where(dead.is_dead, dead.due_time < before))
    old = connection.scalars(
        select(_COLUMNS.position)
        .where(
            _COLUMNS.published_time < before,
            _COLUMNS.position.not_in(select(event_deliveries.c.position)),
        )
        .order_by(_COLUMNS.published_time, _COLUMNS.position)
        .limit(most)
    ).all()
    if old:
        connection.execute(delete(outbox_events).where(_COLUMNS.position.in_(old)))
    return len(old)


def unpublished_lag(connection: Connection, now: datetime) -> tuple[int, float | None]:
    """Return how many events wait to be published, and for how many seconds the oldest does."""
    count, since = connection.execute(
        select(func.count(), func.min(_COLUMNS.created_time)).where(_UNPUBLISHED)
    ).one()
    return count, None if since is None else max((now - since).total_seconds(), 0.0)
