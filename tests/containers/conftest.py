"""The containers that `make compose-test` has started; without them nothing here is collected.

What is looked into besides, networks and images and peers, is that of the layered file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.client import Account, Edge
from tests.system.composed import Composed
from tests.system.wiring import COMPOSED, USUAL, chosen_wiring

OF_EVERY_LAYOUT = "test_layout.py"
WIRING = chosen_wiring() or USUAL

if not WIRING.is_composed:
    collect_ignore_glob = ["test_*.py"]
elif WIRING != COMPOSED:
    collect_ignore_glob = [
        each.name
        for each in Path(__file__).parent.glob("test_*.py")
        if each.name != OF_EVERY_LAYOUT
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs in containers only."""
    for item in items:
        if "tests/containers/" in item.nodeid:
            item.add_marker(pytest.mark.containers)


@pytest.fixture(scope="session")
def system() -> Iterator[Composed]:
    with Composed(WIRING) as system:
        yield system


@pytest.fixture
def edge(system: Composed) -> Iterator[Edge]:
    with Edge(system.edge_url) as edge:
        yield edge


@pytest.fixture
def account(edge: Edge) -> Account:
    return edge.new_account()
