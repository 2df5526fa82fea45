"""What the clock begins: Celery beat, whose ticks the database counts once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any

import celery
from celery.beat import EmbeddedService, ScheduleEntry, Scheduler
from celery.schedules import BaseSchedule, schedstate

from arcana.service.v1 import job_service_pb2, job_service_pb2_grpc
from repository_tier.worker.calls import SystemCalls
from tier_runtime.clock import Clock
from tier_runtime.errors import AppError
from tier_runtime.ids import Uuid7Source
from tier_runtime.logs import get_logger
from tier_runtime.timestamps import timestamp_from
from tier_runtime.tracing.spans import NO_TRACING, Tracing

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ASK_SECONDS = 5.0
# How soon a clock that was set is noticed, and a tick asked for again that could not be. As long as
# it sleeps, Celery's beat cannot be stopped.
LONGEST_SLEEP_SECONDS = 1.0

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ticks:
    """Moments that lie so far apart, the same for everybody who looks at a clock."""

    apart: timedelta
    # After midnight UTC, and so after every multiple of `apart` that divides the day.
    offset: timedelta = timedelta()

    def latest(self, now: datetime) -> datetime:
        """Return the last of the moments that are not in the future."""
        whole = (now - _EPOCH - self.offset) // self.apart
        return _EPOCH + self.offset + whole * self.apart


# The names are those of the service tier's jobs. What another part adds gets its line here.
SCHEDULE: Mapping[str, Ticks] = MappingProxyType(
    {
        "sync-users": Ticks(timedelta(seconds=300)),
        "cleanup-tokens": Ticks(timedelta(hours=1)),
        "cleanup-files": Ticks(timedelta(hours=1)),
        "daily-report": Ticks(timedelta(days=1), offset=timedelta(hours=2)),
    }
)


class TickSchedule(BaseSchedule):
    """Celery's view of ticks. Of several that were missed the latest one is made up for."""

    def __init__(self, ticks: Ticks, clock: Clock, app: celery.Celery) -> None:
        super().__init__(nowfun=clock.now, app=app)
        self._ticks = ticks
        self._clock = clock

    def latest(self) -> datetime:
        """Return the tick that is due, or was last."""
        return self._ticks.latest(self._clock.now())

    def is_due(self, last_run_at: datetime) -> schedstate:
        """Say whether there was a tick since then, and in how many seconds the next one is."""
        now = self._clock.now()
        latest = self._ticks.latest(now)
        left = latest + self._ticks.apart - now
        # After a clock that was fast has been set right the last time lies in the future. Whether
        # the tick has been asked for is not known then; asking once too often changes nothing.
        return schedstate(latest > last_run_at or last_run_at > now, left.total_seconds())


class JobScheduler(Scheduler):
    """Asks the service tier for what is due; nothing of it goes by the broker."""

    # The base class would connect to the broker for each tick.
    producer: Any = None

    def __init__(
        self,
        *given: Any,
        jobs: job_service_pb2_grpc.JobServiceStub,
        tracing: Tracing = NO_TRACING,
        **options: Any,
    ) -> None:
        self._jobs = jobs
        self._calls = SystemCalls(tracing)
        # By name: a tick takes the place of one before it.
        self._waiting: dict[str, datetime] = {}
        super().__init__(*given, **options)

    def install_default_entries(self, data: dict[str, Any]) -> None:
        """Install none: there are no results that somebody must remove."""

    def apply_async(
        self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **options: Any
    ) -> None:
        """Have a tick asked for."""
        del producer, advance, options
        if entry.name is not None and isinstance(entry.schedule, TickSchedule):
            self._waiting[entry.name] = entry.schedule.latest()

    def tick(self, *given: Any, **options: Any) -> float:
        """Find what is due, ask for it, and return in how many seconds to come again.

        All entries are looked at, and not, as in Celery, only the one whose turn it is by a heap
        of moments: in that nothing is right any more once a clock has been set.
        """
        del given, options
        pause = LONGEST_SLEEP_SECONDS
        for entry in list(self.schedule.values()):
            is_due, left = entry.is_due()
            if is_due:
                self.reserve(entry)
                self.apply_async(entry)
            pause = min(pause, left)
        for name, moment in list(self._waiting.items()):
            if self._ask(name, moment):
                del self._waiting[name]
        return pause

    def _ask(self, name: str, moment: datetime) -> bool:
        request = job_service_pb2.ScheduleJobRequest(
            name=name, scheduled_time=timestamp_from(moment)
        )
        try:
            with self._calls.named(f"schedule {name}", Uuid7Source().new_id(), ASK_SECONDS):
                answer = self._jobs.ScheduleJob(request)
        except AppError as error:
            _log.warning("job_not_scheduled", job=name, code=error.code)
            return False
        if answer.created:
            _log.info("job_scheduled", job=name, job_id=answer.job_id, moment=moment.isoformat())
        return True


def start_beat(
    app: celery.Celery,
    jobs: job_service_pb2_grpc.JobServiceStub,
    clock: Clock,
    tracing: Tracing = NO_TRACING,
) -> Any:
    """Start Celery beat in a thread, and return that; its `stop` ends it.

    What was missed while no scheduler ran is made up for, once: the database knows every tick.
    """
    app.conf.beat_schedule = {
        name: {
            "task": name,
            "schedule": TickSchedule(ticks, clock, app),
            "last_run_at": _EPOCH,
        }
        for name, ticks in SCHEDULE.items()
    }
    scheduler = partial(JobScheduler, jobs=jobs, tracing=tracing)
    beat: Any = EmbeddedService(app, thread=True, scheduler_cls=scheduler)
    beat.start()
    return beat
