from __future__ import annotations

from pathlib import Path

from launcher.capacity.costs import (
    CONNECTION,
    CONTROLLER,
    DATABASE,
    PARTS,
    REPOSITORY,
    SERVICE,
    Costs,
    measured_costs,
    measured_text,
)
from tests.unit.launcher.capacity.made_up import COSTS

ROOT = Path(__file__).resolve().parents[4]


def test_a_file_keeps_all_of_it() -> None:
    assert Costs.from_json(COSTS.to_json()).to_json() == COSTS.to_json()


def test_the_costs_that_ship_are_those_of_the_documentation() -> None:
    assert (ROOT / "docs" / "benchmarks" / "capacity.json").read_text() == measured_text()


def test_the_costs_that_ship_are_of_real_stores_and_complete() -> None:
    costs = measured_costs()

    assert len(costs.stores) == 2
    for operation in costs.operations.values():
        assert set(operation.cpu_ms) == set(PARTS)
        assert operation.requests > 10
        for part in (CONTROLLER, SERVICE, REPOSITORY, DATABASE):
            assert operation.cpu_ms[part] > 0
        # With what jobs and events keep, which nobody at the edge waits for.
        assert operation.held_ms[SERVICE] > operation.held_ms[REPOSITORY] > 0
        assert operation.held_ms[CONTROLLER] > 0
        assert operation.held_ms[CONNECTION] >= 0
    assert set(costs.redis_connections) == {REPOSITORY, "worker"}
