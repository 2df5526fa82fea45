"""The pytest plugin of `tests.stores`: fixtures, and the report at the end of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import cast

import pytest

from tests.stores.handout import NoRealStoreError, Store, StoreKind, Stores
from tests.stores.keeper import SOCKET_VARIABLE, Keeper, Reception, RemoteKeeper

KEEPER = pytest.StashKey[Keeper | RemoteKeeper]()
RECEPTION = pytest.StashKey[Reception]()
NOT_RUN = "not run on real stores"


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        config.stash[KEEPER] = RemoteKeeper(os.environ[SOCKET_VARIABLE])
        return
    keeper = Keeper()
    config.stash[KEEPER] = keeper
    config.stash[RECEPTION] = Reception(keeper)


def pytest_unconfigure(config: pytest.Config) -> None:
    # pytest calls this also after Ctrl-C and after an error of its own.
    if RECEPTION in config.stash:
        config.stash[RECEPTION].close()
    if KEEPER in config.stash:
        config.stash[KEEPER].close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    keeper = terminalreporter.config.stash.get(KEEPER, None)
    servers = keeper.found if isinstance(keeper, Keeper) else None
    if servers is None:
        return
    terminalreporter.section("stores")
    for note in servers.notes:
        terminalreporter.line(note)
    reports = [*terminalreporter.stats.get("skipped", []), *terminalreporter.stats.get("error", [])]
    missed = sum(NOT_RUN in str(report.longrepr) for report in reports)
    if missed:
        terminalreporter.line(
            f"{missed} tests were NOT RUN ON REAL STORES. Start Docker, or install MariaDB/MySQL "
            "and Redis, or set TEST_DATABASE_URL and TEST_REDIS_URL.",
            red=True,
            bold=True,
        )


@pytest.fixture(scope="session")
def stores(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stores]:
    """Hand out empty stores; see `tests.stores.handout`."""
    handout = Stores(pytestconfig.stash[KEEPER], tmp_path_factory.mktemp)
    yield handout
    handout.close()


@pytest.fixture(scope="session", params=["embedded", "real"])
def store_kind(request: pytest.FixtureRequest, stores: Stores) -> StoreKind:
    """Run the test once on each kind of store."""
    kind = cast(StoreKind, request.param)
    if kind == "real":
        _require(stores)
    return kind


@pytest.fixture
def store(stores: Stores, store_kind: StoreKind) -> Store:
    """Give a new empty store."""
    return stores.new_store(store_kind)


@pytest.fixture(scope="session")
def worker_store(stores: Stores, store_kind: StoreKind) -> Store:
    """Give this worker's own store."""
    return stores.worker_store(store_kind)


@pytest.fixture(scope="session")
def mysql_server_url(stores: Stores) -> str:
    _require(stores)
    return stores.mysql_server_url()


@pytest.fixture(scope="session")
def redis_server_url(stores: Stores) -> str:
    _require(stores)
    return stores.redis_server_url()


def _require(stores: Stores) -> None:
    try:
        stores.mysql_server_url()
        stores.redis_server_url()
    except NoRealStoreError as error:
        reason = f"{NOT_RUN}: {error}"
        if os.environ.get("REQUIRE_REAL_STORES", "") not in ("", "0"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
