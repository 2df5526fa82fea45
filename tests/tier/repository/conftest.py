"""A migrated store per worker, emptied for every test, and a tier on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from sqlalchemy import Engine, delete

from repository_tier.engine import PoolSettings, make_engines
from repository_tier.migrate import migrate
from repository_tier.tables import metadata, roles
from tests.fakes.clock import FakeClock
from tests.stores import Store, Stores
from tests.tier.repository.event_flow import RelayAlone, relay_on
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier, running_tier, warm_up
from tests.tier.repository.shelf import Shelf
from tier_runtime.clock import Clock, SystemClock

StartTier = Callable[..., RunningTier]


@pytest.fixture(scope="session")
def migrated_store(worker_store: Store) -> Store:
    """Give this worker's store with all tables."""
    migrate(worker_store.database_url)
    return worker_store


@pytest.fixture(scope="session")
def store_engine(migrated_store: Store) -> Iterator[Engine]:
    """Give a connection of the tests' own to the database."""
    engines = make_engines(migrated_store.database_url, PoolSettings(4, 1.0, 5, 30.0))
    engines.readers.dispose()
    yield engines.writers
    engines.close()


@pytest.fixture
def empty_store(migrated_store: Store, store_engine: Engine) -> Store:
    """Give the store without a row, but for the known roles."""
    with store_engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            if table is not roles:
                connection.execute(delete(table))
    if migrated_store.redis_url:
        with redis.Redis.from_url(migrated_store.redis_url) as client:
            client.flushdb()
    return migrated_store


@pytest.fixture
def folder(empty_store: Store) -> Path:
    """Where the store keeps its bytes, without any."""
    root = Path(urlsplit(empty_store.blob_url).path)
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_file():
            path.unlink()
    return root


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the tier under test."""
    return FakeClock()


@pytest.fixture
def shelf(empty_store: Store, store_engine: Engine, clock: FakeClock) -> Iterator[Shelf]:
    """Puts products into the store; whatever a test does with them, the ledger must say so."""
    made = Shelf(store_engine, clock)
    yield made
    made.require_balance()


@pytest.fixture
def start_tier(empty_store: Store, store_engine: Engine, clock: FakeClock) -> Iterator[StartTier]:
    """Start tiers with settings of the test's own."""
    with ExitStack() as stack:

        def start(
            store: Store | None = None, tier_clock: Clock | None = None, **settings: Any
        ) -> RunningTier:
            return stack.enter_context(
                running_tier(store or empty_store, store_engine, tier_clock or clock, **settings)
            )

        yield start


@pytest.fixture
def tier(start_tier: StartTier) -> RunningTier:
    """A running tier."""
    return start_tier()


@pytest.fixture
def alone(empty_store: Store, tier: RunningTier) -> Iterator[RelayAlone]:
    """A relay beside the tier's, which works when a test says so."""
    with relay_on(empty_store, SystemClock()) as made:
        yield made


@pytest.fixture
def warm_tier(tier: RunningTier) -> RunningTier:
    """The running tier, with all its connections open."""
    warm_up(tier)
    return tier


@pytest.fixture(scope="session")
def real_store(stores: Stores, mysql_server_url: str, redis_server_url: str) -> Store:
    """Give MySQL with all tables and a Redis, for what SQLite cannot do; shared, never emptied."""
    store = stores.new_store("real")
    migrate(store.database_url)
    return store


@pytest.fixture
def start_real_tier(real_store: Store, clock: FakeClock) -> Iterator[StartTier]:
    """Start tiers on the real store only; `database_url` and `redis_url` replace its own."""
    with ExitStack() as stack:
        engines = make_engines(real_store.database_url, PoolSettings(4, 1.0, 5, 30.0))
        stack.callback(engines.close)

        def start(
            database_url: str = "",
            redis_url: str = "",
            tier_clock: Clock | None = None,
            **settings: Any,
        ) -> RunningTier:
            store = replace(
                real_store,
                database_url=database_url or real_store.database_url,
                redis_url=redis_url or real_store.redis_url,
            )
            return stack.enter_context(
                running_tier(store, engines.writers, tier_clock or clock, **settings)
            )

        yield start


@pytest.fixture
def make(clock: FakeClock) -> Requests:
    """Makes requests that are right in all that a test does not say."""
    return Requests(clock)
