"""The rows of consumer groups, which both logs keep."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from repository_tier.tables import event_groups
from repository_tier.upserts import insert_new


def held_groups(connection: Connection) -> Sequence[str]:
    """Return the names of all groups, and keep whoever changes one waiting for this transaction."""
    names = select(event_groups.c.name).order_by(event_groups.c.name)
    return connection.scalars(names.with_for_update(read=True)).all()


def insert_group(connection: Connection, name: str, run_id: str, now: datetime) -> None:
    """Write a group, unless it is there; nothing is known to be settled by it."""
    row = {"name": name, "run_id": run_id, "settled_time": None, "created_time": now}
    insert_new(connection, event_groups, row, key="name")
