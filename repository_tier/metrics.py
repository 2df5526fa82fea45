"""What the repository tier and the worker count, besides what every tier does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import QueuePool

from tier_runtime.metrics.families import counter, gauge, histogram

if TYPE_CHECKING:
    from tier_runtime.metrics.meters import Meters

_POOL = ("pool",)
POOL_SIZE = gauge(
    "arcana_database_pool_size", "Connections that the pool may have, in all processes.", _POOL
)
POOL_IN_USE = gauge("arcana_database_pool_in_use", "Connections that are in use.", _POOL)
POOL_WAIT = histogram(
    "arcana_database_pool_wait_seconds",
    "How long it took to get a connection from the pool, or none.",
    _POOL,
    buckets=(0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0),
)
DATABASE_FAILED = counter(
    "arcana_database_failures_total",
    "Units of work that the database failed, by the code of the error.",
    ("code",),
)
DATABASE_REPEATED = counter(
    "arcana_database_repeats_total",
    "Units of work that were begun anew after a deadlock or on another connection.",
)
CACHE = counter(
    "arcana_cache_requests_total",
    "Keys that the cache was asked for, by kind of thing: `hit`, `miss`, or `error` where it did "
    "not answer or was left alone.",
    ("kind", "outcome"),
)
UNPUBLISHED = gauge("arcana_outbox_events_unpublished", "Events that wait in the outbox.")
UNPUBLISHED_AGE = gauge(
    "arcana_outbox_oldest_age_seconds", "For how long the oldest event has waited in the outbox."
)
_GROUP = ("group",)
UNSETTLED = gauge(
    "arcana_event_group_unsettled", "Published events that the group has not settled.", _GROUP
)
UNSETTLED_AGE = gauge(
    "arcana_event_group_oldest_age_seconds", "The age of the oldest of those events.", _GROUP
)
AGAIN = gauge("arcana_event_group_refused", "Events that wait for another attempt.", _GROUP)
DEAD = gauge("arcana_event_group_dead", "Events that the group has given up.", _GROUP)
JOBS = gauge("arcana_jobs", "Jobs that are `queued`, `running`, or `failed` for good.", ("status",))
JOBS_OVERDUE = gauge(
    "arcana_jobs_overdue_seconds", "For how long the job has been due that has waited longest."
)
HANDED_OVER = counter(
    "arcana_worker_jobs_total",
    "Jobs that a worker has handed over to the service tier, by what came of it.",
    ("outcome",),
)

SERIES = (
    *(POOL_SIZE, POOL_IN_USE, POOL_WAIT, DATABASE_FAILED, DATABASE_REPEATED, CACHE),
    *(UNPUBLISHED, UNPUBLISHED_AGE, UNSETTLED, UNSETTLED_AGE, AGAIN, DEAD),
    *(JOBS, JOBS_OVERDUE, HANDED_OVER),
)


class DatabaseMeter:
    """Counts what becomes of units of work, and of the pools' connections."""

    def __init__(self, meters: Meters, clock: Callable[[], float] = time.perf_counter) -> None:
        self._size = meters.gauge(POOL_SIZE)
        self._in_use = meters.gauge(POOL_IN_USE)
        self._wait = meters.histogram(POOL_WAIT)
        self._failed = meters.counter(DATABASE_FAILED)
        self._repeated = meters.counter(DATABASE_REPEATED).of()
        self._clock = clock

    def watch(self, pool: str, engine: Engine) -> None:
        """Follow the connections of a pool from now on."""
        if isinstance(engine.pool, QueuePool):
            self._size.of(pool).set(engine.pool.size())
        in_use = self._in_use.of(pool)

        def out(*_told: Any) -> None:
            in_use.inc()

        def back(*_told: Any) -> None:
            in_use.dec()

        event.listen(engine, "checkout", out)
        event.listen(engine, "checkin", back)

    @contextmanager
    def waiting(self, pool: str) -> Iterator[None]:
        """Count the time of the block as a wait for a connection."""
        began = self._clock()
        try:
            yield
        finally:
            self._wait.of(pool).observe(self._clock() - began)

    def failed(self, code: str) -> None:
        """Count a unit of work that failed."""
        self._failed.of(code).inc()

    def repeated(self) -> None:
        """Count one that is begun anew."""
        self._repeated.inc()


class CacheMeter:
    """Counts what the cache has of one kind of thing."""

    def __init__(self, meters: Meters, kind: str) -> None:
        family = meters.counter(CACHE)
        self._hits, self._misses, self._errors = (
            family.of(kind, outcome) for outcome in ("hit", "miss", "error")
        )

    def answered(self, asked: int, found: int) -> None:
        """Count the keys of an answer."""
        if found:
            self._hits.inc(found)
        if found < asked:
            self._misses.inc(asked - found)

    def failed(self, asked: int) -> None:
        """Count the keys that there was no answer for."""
        self._errors.inc(asked)


def hand_over_meter(meters: Meters | None) -> Callable[[str], None]:
    """Return what is told what came of each job that was handed over."""
    if meters is None:
        return lambda _outcome: None
    jobs = meters.counter(HANDED_OVER)
    return lambda outcome: jobs.of(outcome).inc()
