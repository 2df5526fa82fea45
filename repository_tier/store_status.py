"""What this tier tells operators of its stores: each fact by itself, so that one can be missing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import Engine

from arcana.common.v1 import tier_status_pb2 as pb
from repository_tier.database import Database
from repository_tier.event_lag import EventLag
from repository_tier.jobs.backlog import backlog
from repository_tier.revisions import current_revision, required_revision
from repository_tier.servicers.event_requests import duration_of
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError


class StoreStatus:
    """Tells how the stores are."""

    def __init__(
        self,
        database: Database,
        lag: EventLag,
        clock: Clock,
        *,
        database_kind: str,
        cache_kind: str,
        cache_is_left_alone: Callable[[], bool],
    ) -> None:
        self._database = database
        self._database_kind = database_kind
        self._cache_kind = cache_kind
        self._cache_is_left_alone = cache_is_left_alone
        self._lag = lag
        self._clock = clock

    def complete(self, answer: pb.GetTierStatusResponse, deadline: Deadline) -> None:
        """Add what is known, and leave out what a store that is away cannot tell."""
        status = answer.status
        status.database.kind = self._database_kind
        status.database.needed_revision = required_revision()
        status.cache.kind = self._cache_kind
        status.cache.breaker_open = self._cache_is_left_alone()
        with suppress(AppError):
            found = self._database.read(deadline, current_revision)
            status.database.revision = found or "none"
            self._add_jobs(status, deadline)
            self._add_events(status, deadline)

    def _add_jobs(self, status: pb.TierStatus, deadline: Deadline) -> None:
        now = self._clock.now()
        found = self._database.read(deadline, lambda reader: backlog(reader, now))
        status.jobs.CopyFrom(
            pb.JobsStatus(
                waiting_count=found.waiting,
                oldest_due_age=duration_of(found.oldest_due_age),
                running_count=found.running,
                failed_count=found.failed,
            )
        )

    def _add_events(self, status: pb.TierStatus, deadline: Deadline) -> None:
        count, age = self._lag.unpublished(deadline)
        status.events.CopyFrom(
            pb.EventsStatus(unpublished_count=count, oldest_unpublished_age=duration_of(age))
        )
        # What waits in the outbox is told without the log, which may be what it waits for.
        groups = self._lag.groups(deadline)
        ages = [group.oldest_age for group in groups if group.oldest_age is not None]
        status.events.MergeFrom(
            pb.EventsStatus(
                unsettled_count=sum(group.unsettled for group in groups),
                oldest_unsettled_age=duration_of(max(ages, default=None)),
                dead_count=sum(group.dead for group in groups),
            )
        )


def kind_of(engine: Engine) -> str:
    """Return `sqlite`, `mysql` or `mariadb`; which of the last two is known once it was asked."""
    if getattr(engine.dialect, "is_mariadb", False):
        return "mariadb"
    return engine.dialect.name
