"""What the service tier counts, besides what every tier does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tier_runtime.metrics.families import counter, gauge, histogram

if TYPE_CHECKING:
    from tier_runtime.metrics.meters import Meters

LOGINS = counter(
    "arcana_logins_total", "Attempts to sign in with a password, by how they ended.", ("outcome",)
)
JOB_ATTEMPTS = counter(
    "arcana_job_attempts_total", "Attempts at jobs, by how they ended.", ("name", "outcome")
)
JOB_SECONDS = histogram(
    "arcana_job_duration_seconds",
    "How long attempts at jobs took.",
    ("name",),
    buckets=(0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0),
)
JOBS_IN_PROGRESS = gauge("arcana_jobs_in_progress", "Jobs that are being worked on.", ("name",))
EVENTS = counter(
    "arcana_event_reactions_total",
    "Events that were reacted to, by how that ended: `returned` is tried again and does not count.",
    ("outcome",),
)

SERIES = (LOGINS, JOB_ATTEMPTS, JOB_SECONDS, JOBS_IN_PROGRESS, EVENTS)


# The name that is counted for jobs without a handler here.
UNKNOWN_JOB = "unknown"


class JobMeter:
    """Counts attempts at jobs. Their names are those that have a handler, or UNKNOWN_JOB."""

    def __init__(self, meters: Meters, clock: Callable[[], float] = time.monotonic) -> None:
        self._attempts = meters.counter(JOB_ATTEMPTS)
        self._seconds = meters.histogram(JOB_SECONDS)
        self._in_progress = meters.gauge(JOBS_IN_PROGRESS)
        self._clock = clock

    def expect(self, names: Iterable[str]) -> None:
        """Have the jobs of these names known, and that none was given up so far.

        To Prometheus a series that begins with 1 has not risen, and the alert is about a rise.
        """
        for name in names:
            self._attempts.of(name, "failed")

    @contextmanager
    def attempt(self, job: str) -> Iterator[Callable[[str], None]]:
        """Count an attempt; yields what is told how it ended, and counts none that is not told."""
        in_progress = self._in_progress.of(job)
        in_progress.inc()
        began = self._clock()
        try:
            yield lambda outcome: self._attempts.of(job, outcome).inc()
        finally:
            in_progress.dec()
            self._seconds.of(job).observe(self._clock() - began)


def login_meter(meters: Meters | None) -> Callable[[str], None]:
    """Return what is told how each attempt to sign in ended."""
    if meters is None:
        return lambda _outcome: None
    logins = meters.counter(LOGINS)
    return lambda outcome: logins.of(outcome).inc()


def event_meter(meters: Meters | None) -> Callable[[str], None]:
    """Return what is told how the reaction to each event ended."""
    if meters is None:
        return lambda _outcome: None
    events = meters.counter(EVENTS)
    return lambda outcome: events.of(outcome).inc()
