"""The containers that `make compose-test` has started; without them nothing here is collected."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.client import Account, Edge
from tests.system.composed import Composed
from tests.system.wiring import COMPOSED, chosen_wiring

if chosen_wiring() != COMPOSED:
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs in containers only."""
    for item in items:
        if "tests/containers/" in item.nodeid:
            item.add_marker(pytest.mark.containers)


@pytest.fixture(scope="session")
def system() -> Iterator[Composed]:
    with Composed() as system:
        yield system


@pytest.fixture
def edge(system: Composed) -> Iterator[Edge]:
    with Edge(system.edge_url) as edge:
        yield edge


@pytest.fixture
def account(edge: Edge) -> Account:
    return edge.new_account()
