"""Running tiers for system tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.stores import StoreKind, Stores
from tests.system.processes import ArcanaProcesses
from tests.system.wiring import Wiring


@pytest.fixture(scope="module")
def arcana(
    stores: Stores, store_kind: StoreKind, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ArcanaProcesses]:
    """Run all tiers for a module, once on each kind of store. Do not end them."""
    home = tmp_path_factory.mktemp("arcana")
    with ArcanaProcesses(home, stores.new_store(store_kind)) as processes:
        yield processes


@pytest.fixture
def start_arcana(
    stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., ArcanaProcesses]]:
    """Start tiers of the test's own: `start_arcana(kind, wiring, **settings)`."""
    with ExitStack() as running:

        def start(
            kind: StoreKind = "embedded", wiring: Wiring | None = None, **settings: str
        ) -> ArcanaProcesses:
            processes = ArcanaProcesses(
                tmp_path_factory.mktemp("arcana"), stores.new_store(kind), settings, wiring
            )
            return running.enter_context(processes)

        yield start
