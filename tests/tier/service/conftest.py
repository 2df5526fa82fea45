"""Repository tiers to run the service tier on: the fake one, and the real one on each store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest

from repository_tier.migrate import migrate
from service_tier.repository import Repository, channel_settings
from tests.fakes.clock import FakeClock
from tests.fakes.repository import FakeRepository
from tests.stores import Store, StoreKind, Stores
from tests.tier.service.contract_requests import Kept
from tests.tier.service.running import (
    RunningService,
    empty,
    fake_repository_server,
    repository_on,
    service_on,
)
from tests.tier.service.shop_requests import Shop
from tier_runtime.channel import open_channel
from tier_runtime.clock import SystemClock

_migrated: set[str] = set()


def migrated(stores: Stores, kind: StoreKind) -> Store:
    """Return this worker's store with all tables and no rows."""
    store = stores.worker_store(kind)
    if store.database_url not in _migrated:
        migrate(store.database_url)
        _migrated.add(store.database_url)
    empty(store.database_url)
    return store


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the repository tier under test."""
    return FakeClock()


@pytest.fixture(params=["fake", "embedded", "real"])
def any_repository_url(request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[str]:
    """A repository tier of each kind, on a clock that the test moves."""
    with ExitStack() as stack:
        if request.param == "fake":
            yield stack.enter_context(fake_repository_server(FakeRepository(clock)))
        else:
            stores: Stores = request.getfixturevalue("stores")
            store = migrated(stores, cast(StoreKind, request.param))
            yield stack.enter_context(repository_on(store, clock))


@pytest.fixture
def repository_url(stores: Stores, store_kind: StoreKind) -> Iterator[str]:
    """The real repository tier on each store, on the machine's clock."""
    with repository_on(migrated(stores, store_kind), SystemClock()) as url:
        yield url


@pytest.fixture
def service(repository_url: str, tmp_path: Path) -> Iterator[RunningService]:
    """The service tier on the real repository tier, on each store."""
    with service_on(repository_url, tmp_path) as running:
        yield running


@pytest.fixture
def fake() -> FakeRepository:
    """A fake repository tier on the machine's clock."""
    return FakeRepository(SystemClock())


@pytest.fixture
def kept(any_repository_url: str, clock: FakeClock) -> Iterator[Kept]:
    """Stubs of a repository tier of each kind."""
    with open_channel(any_repository_url, channel_settings()) as channel:
        yield Kept(Repository.over(channel), clock)


@pytest.fixture
def shop(any_repository_url: str, clock: FakeClock) -> Iterator[Shop]:
    """Stubs of a repository tier of each kind, for what is kept in store and sold."""
    with open_channel(any_repository_url, channel_settings()) as channel:
        yield Shop(Repository.over(channel), clock)
