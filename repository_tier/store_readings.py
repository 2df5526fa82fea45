"""What is looked up in the stores whenever the metrics are read: how far events and jobs are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from repository_tier import metrics
from repository_tier.database import Database
from repository_tier.event_lag import EventLag
from repository_tier.jobs.backlog import backlog
from repository_tier.jobs.rows import FAILED, QUEUED, RUNNING
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError
from tier_runtime.logs import get_logger

if TYPE_CHECKING:
    from tier_runtime.metrics.meters import Meters, Reading

# A scrape must not wait for a store that is away.
SECONDS = 1.0


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
            # Each by itself: that events wait in the outbox must be told when Redis is away, which
            # may be what they wait for.
            looks = (self._outbox, self._jobs, self._groups)
            return [each for look in looks for each in _told(look, Reading, deadline)]

        meters.look_up(read)

    def _outbox(self, made: type[Reading], deadline: Deadline) -> list[Reading]:
        count, age = self._lag.unpublished(deadline)
        return [made(metrics.UNPUBLISHED, count), made(metrics.UNPUBLISHED_AGE, age or 0.0)]

    def _groups(self, made: type[Reading], deadline: Deadline) -> list[Reading]:
        found = []
        for group in self._lag.groups(deadline):
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
        found = self._database.read(deadline, lambda reader: backlog(reader, now))
        return [
            made(metrics.JOBS, found.waiting, (QUEUED,)),
            made(metrics.JOBS, found.running, (RUNNING,)),
            made(metrics.JOBS, found.failed, (FAILED,)),
            made(metrics.JOBS_OVERDUE, found.oldest_due_age or 0.0),
        ]


def _told(
    look: Callable[[type[Reading], Deadline], list[Reading]],
    made: type[Reading],
    deadline: Deadline,
) -> list[Reading]:
    """Look up, or tell nothing where a store is away."""
    try:
        return look(made, deadline)
    except AppError as error:
        # Nothing is better than what was true some time ago.
        get_logger(__name__).info("store_not_read", code=error.code)
        return []
