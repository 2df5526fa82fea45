"""What is looked up in the stores when somebody reads the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from uuid import uuid4

from sqlalchemy import insert

from repository_tier import metrics
from repository_tier.cache.redis_store import connect_redis
from repository_tier.database import Database
from repository_tier.engine import PoolSettings, make_engines
from repository_tier.event_lag import EventLag
from repository_tier.event_log.log import EventLog, RetryRule
from repository_tier.event_log.redis_log import RedisLog
from repository_tier.event_log.table_log import TableLog
from repository_tier.jobs.rows import FAILED, QUEUED, RUNNING
from repository_tier.store_readings import StoreReadings
from repository_tier.tables import jobs
from tests.fakes.clock import FakeClock
from tests.metering import Counted
from tests.stores import Store
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier
from tests.tier.repository.test_jobs import fail, started
from tier_runtime.metrics.meters import Reading

POOL = PoolSettings(size=2, wait_seconds=0.2, connect_seconds=1, io_seconds=2.5)


RETRY = RetryRule(3, 1, 10)
# Nobody listens there.
AWAY = "127.0.0.1:1"


def _read(url: str, clock: FakeClock, redis_url: str = "") -> Sequence[Reading]:
    engines = make_engines(url, POOL)
    database = Database(engines, clock, Random(1))
    counted = Counted()
    log: EventLog = TableLog(database, clock, Random(1), RETRY)
    if redis_url:
        client = connect_redis(redis_url, 0.2, 2)
        log = RedisLog(client, database, clock, Random(1), retry=RETRY, max_length=100)
    StoreReadings(database, EventLag(database, log, clock), clock).add_to(counted.meters)
    try:
        return counted.meters.readings()
    finally:
        database.close()


def _queue_job(url: str, due: datetime) -> None:
    row = {
        "id": str(uuid4()),
        "name": "daily-report",
        "status": "queued",
        "version": 1,
        "payload": b"{}",
        "checkpoint": b"",
        "result": b"{}",
        "attempts": 0,
        "max_attempts": 8,
        "last_attempt": 8,
        "due_time": due,
        "created_time": due,
    }
    engines = make_engines(url, POOL)
    with engines.writers.begin() as connection:
        connection.execute(insert(jobs).values(**row))
    engines.close()


def _values(readings: Sequence[Reading]) -> dict[tuple[str, ...], float]:
    return {(reading.family.name, *reading.labels): reading.value for reading in readings}


def test_jobs_and_events_that_wait_are_told_with_their_ages(empty_store: Store) -> None:
    clock = FakeClock()
    _queue_job(empty_store.database_url, clock.now() - timedelta(seconds=90))

    told = _values(_read(empty_store.database_url, clock))

    assert told[(metrics.JOBS.name, "queued")] == 1
    assert told[(metrics.JOBS.name, "failed")] == 0
    assert told[(metrics.JOBS_OVERDUE.name,)] == 90
    assert told[(metrics.UNPUBLISHED.name,)] == 0
    assert told[(metrics.UNPUBLISHED_AGE.name,)] == 0


def test_a_job_that_waits_for_its_next_attempt_is_told_as_queued(
    tier: RunningTier, empty_store: Store, make: Requests, clock: FakeClock
) -> None:
    tier.jobs.FailJob(fail(*started(tier, make)))

    told = _values(_read(empty_store.database_url, clock))

    counts = {status: told[(metrics.JOBS.name, status)] for status in (QUEUED, RUNNING, FAILED)}
    assert counts == {QUEUED: 1, RUNNING: 0, FAILED: 0}
    assert told[(metrics.JOBS_OVERDUE.name,)] == 0


def test_a_store_that_is_away_is_told_by_nothing() -> None:
    assert _read(f"mysql+pymysql://u:p@{AWAY}/none", FakeClock()) == []


def test_without_redis_the_outbox_and_the_jobs_are_told_all_the_same(empty_store: Store) -> None:
    clock = FakeClock()
    _queue_job(empty_store.database_url, clock.now() - timedelta(seconds=90))

    told = _values(_read(empty_store.database_url, clock, f"redis://{AWAY}/0"))

    assert told[(metrics.UNPUBLISHED.name,)] == 0
    assert told[(metrics.JOBS_OVERDUE.name,)] == 90
    assert not any(name == metrics.UNSETTLED.name for name, *_ in told)
