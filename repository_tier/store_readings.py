"""What is looked up in the stores whenever the metrics are read: how far events and jobs are."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select

from repository_tier import metrics
from repository_tier.database import Database
from repository_tier.event_lag import EventLag
from repository_tier.jobs.rows import FAILED, QUEUED, RUNNING
from repository_tier.tables import jobs
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError
from tier_runtime.logs import get_logger

if TYPE_CHECKING:
    from tier_runtime.metrics.meters import Meters, Reading

# A scrape must not wait for a store that is away.
SECONDS = 1.0
_STATUSES = (QUEUED, RUNNING, FAILED)


class StoreReadings:
    """Looks up how far events and jobs are; every process of the tier would say the same."""

    def __init__(self, database: Database, lag: EventLag, clock: Clock) -> None:
        self._database = database
        self._lag = lag
        self._clock = clock

    def add_to(self, meters: Meters) -> None:
        """Have it looked up whenever these metrics are read."""
        # Only a process that counts has what a reading is.
        from tier_runtime.metrics.meters import Reading  # noqa: PLC0415 - see above.

        def read() -> list[Reading]:
            deadline = Deadline.after(SECONDS)
            try:
                return [*self._events(Reading, deadline), *self._jobs(Reading, deadline)]
            except AppError as error:
                # Nothing is better than what was true some time ago.
                get_logger(__name__).info("stores_not_read", code=error.code)
                return []

        meters.look_up(read)

    def _events(self, made: type[Reading], deadline: Deadline) -> list[Reading]:
        lag = self._lag.read(deadline)
        found = [
            made(metrics.UNPUBLISHED, lag.unpublished),
            made(metrics.UNPUBLISHED_AGE, lag.oldest_age or 0.0),
        ]
        for group in lag.groups:
            labels = (group.group,)
            found += [
                made(metrics.UNSETTLED, group.unsettled, labels),
                made(metrics.UNSETTLED_AGE, group.oldest_age or 0.0, labels),
                made(metrics.AGAIN, group.refused, labels),
                made(metrics.DEAD, group.dead, labels),
            ]
        return found

    def _jobs(self, made: type[Reading], deadline: Deadline) -> list[Reading]:
        now = self._clock.now()
        counts, due = self._database.read(deadline, _count_jobs)
        overdue = 0.0 if due is None else max((now - due).total_seconds(), 0.0)
        found = [made(metrics.JOBS, counts.get(status, 0), (status,)) for status in _STATUSES]
        return [*found, made(metrics.JOBS_OVERDUE, overdue)]


def _count_jobs(connection: Connection) -> tuple[dict[str, int], datetime | None]:
    """Return how many jobs have each status, of those that are not over, and the first due time."""
    column = jobs.c.status
    counted = select(column, func.count()).where(column.in_(_STATUSES)).group_by(column)
    counts = {row[0]: row[1] for row in connection.execute(counted)}
    due = connection.scalar(select(func.min(jobs.c.due_time)).where(column == QUEUED))
    return counts, due
