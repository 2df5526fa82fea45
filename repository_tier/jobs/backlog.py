"""How much there is to do, for operators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from repository_tier.jobs.rows import FAILED, QUEUED, RUNNING
from repository_tier.tables import jobs


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many jobs wait, run and were given up; the age is in seconds past the oldest's time."""

    waiting: int
    oldest_due_age: float | None
    running: int
    failed: int


def backlog(connection: Connection, now: datetime) -> Backlog:
    """Count the jobs that are not done; those that are, which may be very many, are not read."""
    rows = connection.execute(
        select(jobs.c.status, func.count(), func.min(jobs.c.due_time))
        .where(jobs.c.status.in_((QUEUED, RUNNING, FAILED)))
        .group_by(jobs.c.status)
    ).all()
    counts = {status: count for status, count, _ in rows}
    due = next((since for status, _, since in rows if status == QUEUED), None)
    return Backlog(
        waiting=counts.get(QUEUED, 0),
        oldest_due_age=None if due is None or due > now else (now - due).total_seconds(),
        running=counts.get(RUNNING, 0),
        failed=counts.get(FAILED, 0),
    )
