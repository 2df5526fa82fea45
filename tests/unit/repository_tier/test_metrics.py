"""What the repository tier counts."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from arcana.repository.v1.user_pb2 import User
from repository_tier import metrics
from repository_tier.cache.entry import CacheError, Entry
from repository_tier.cache.memory_store import MemoryStore
from repository_tier.cache.message_cache import CacheTimes, MessageCache
from repository_tier.database import Database
from repository_tier.engine import PoolSettings, make_engines
from tests.fakes.clock import FakeClock
from tests.metering import Counted
from tier_runtime.breaker import Breaker
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError


def soon() -> Deadline:
    return Deadline.after(30)


class _Store(MemoryStore):
    """A cache that can be lost."""

    is_lost = False

    def get(self, key: str) -> Entry | None:
        if self.is_lost:
            raise CacheError
        return super().get(key)


def test_the_cache_s_keys_are_hits_misses_or_errors() -> None:
    counted, clock = Counted(), FakeClock()
    store = _Store(clock, 100)
    cache: MessageCache[User] = MessageCache(
        "user",
        store,
        Breaker(clock, 100, 1.0),
        CacheTimes(60, 5),
        Random(1),
        meter=metrics.CacheMeter(counted.meters, "user"),
    )

    def load(_ids: object) -> list[User]:
        return [User(id="a", version=1)]

    cache.get("a", load, soon())
    cache.get("a", load, soon())
    cache.known(["a", "b", "c"])
    store.is_lost = True
    cache.get("a", load, soon())

    outcomes = {
        outcome: counted.value(metrics.CACHE, "user", outcome)
        for outcome in ("hit", "miss", "error")
    }
    assert outcomes == {"hit": 2, "miss": 3, "error": 1}


@pytest.fixture
def counted() -> Counted:
    return Counted()


def _database(counted: Counted, folder: Path) -> Database:
    pool = PoolSettings(size=1, wait_seconds=0.01, connect_seconds=1, io_seconds=1)
    engines = make_engines(f"sqlite:///{folder}/arcana.db", pool)
    meter = metrics.DatabaseMeter(counted.meters)
    for name, engine in (("read", engines.readers), ("write", engines.writers)):
        meter.watch(name, engine)
    return Database(engines, FakeClock(), Random(1), meter)


def test_connections_in_use_and_the_wait_for_them_are_counted(
    counted: Counted, tmp_path: Path
) -> None:
    database = _database(counted, tmp_path)
    seen = database.read(soon(), lambda _connection: counted.value(metrics.POOL_IN_USE, "read"))
    database.write(soon(), lambda connection: connection.execute(text("SELECT 1")).all())

    assert seen == 1
    assert counted.value(metrics.POOL_IN_USE, "read") == 0
    assert counted.value(metrics.POOL_IN_USE, "write") == 0
    assert counted.value(metrics.POOL_WAIT, "read") == 1
    assert counted.value(metrics.POOL_WAIT, "write") == 1
    database.close()


def test_work_that_the_database_fails_is_counted_by_its_code(
    counted: Counted, tmp_path: Path
) -> None:
    database = _database(counted, tmp_path)

    def fail(_connection: object) -> None:
        raise PoolTimeoutError

    with pytest.raises(AppError):
        database.read(soon(), fail)

    assert counted.value(metrics.DATABASE_FAILED, "SERVICE_UNAVAILABLE") == 1
    assert counted.value(metrics.DATABASE_REPEATED) == 0
    assert counted.value(metrics.POOL_IN_USE, "read") == 0
    database.close()


def test_jobs_that_were_handed_over_are_counted_if_anybody_counts(counted: Counted) -> None:
    metrics.hand_over_meter(counted.meters)("succeeded")
    metrics.hand_over_meter(None)("succeeded")

    assert counted.value(metrics.HANDED_OVER, "succeeded") == 1
