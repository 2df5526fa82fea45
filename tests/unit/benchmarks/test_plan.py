from __future__ import annotations

import random
from collections import Counter

import pytest

from benchmarks.headline import FIGURES
from benchmarks.machine import describe_machine, describe_versions
from benchmarks.plan import (
    CREATE,
    FULL,
    LIST_50,
    OPERATIONS,
    PLANS,
    QUICK,
    VARIANTS,
    Plan,
)
from benchmarks.ratios import MIN_INTERVAL_ROUNDS, MIN_ROUNDS
from benchmarks.results import COLUMNS, base_of
from benchmarks.targets import in_random_order


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_every_plan_measures_what_the_headline_is_made_of(plan: Plan) -> None:
    for figure in FIGURES:
        block = next(
            block
            for block in plan.blocks
            for cell in block.cells
            if cell.key == (figure.part, "embedded", figure.operation, figure.callers)
        )
        assert block.rounds >= MIN_INTERVAL_ROUNDS
        needed = {base_of(column, figure.over) for column in COLUMNS} | set(COLUMNS.values())
        assert needed <= set(block.cells[0].variants)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_every_block_has_the_rounds_that_a_ratio_needs(plan: Plan) -> None:
    assert min(block.rounds for block in plan.blocks) >= MIN_ROUNDS


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_every_variant_and_operation_is_described(plan: Plan) -> None:
    for cell in plan.cells:
        assert cell.operation in OPERATIONS
        assert set(cell.variants) <= set(VARIANTS)


def test_no_cell_is_measured_twice() -> None:
    keys = [cell.key for cell in FULL.cells]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("store", ["embedded", "real"])
def test_users_are_created_after_all_that_counts_them(store: str) -> None:
    operations = [cell.operation for cell in FULL.cells if cell.store == store]
    assert operations.index(CREATE) > operations.index(LIST_50)


def test_the_plans_take_about_as_long_as_they_promise() -> None:
    # The rest of twelve minutes and of ninety seconds is starting, waking and sleeping.
    assert FULL.seconds < 440
    assert QUICK.seconds < 60


def test_in_every_round_each_variant_has_one_turn() -> None:
    block = FULL.blocks[0]
    turns = list(in_random_order(block, random.Random(1)))
    assert len(turns) == block.turns
    per_round = len(turns) // block.rounds
    for number in range(block.rounds):
        seen = turns[number * per_round : (number + 1) * per_round]
        assert {each for each, _, _ in seen} == {number}
        counted = Counter((cell, variant) for _, cell, variant in seen)
        assert set(counted.values()) == {1}


def test_the_order_changes_from_round_to_round() -> None:
    block = FULL.blocks[0]
    turns = [(cell, variant) for _, cell, variant in in_random_order(block, random.Random(1))]
    per_round = len(turns) // block.rounds
    rounds = {tuple(turns[at : at + per_round]) for at in range(0, len(turns), per_round)}
    assert len(rounds) > 1


def test_the_machine_is_described_without_its_name() -> None:
    described = describe_machine()
    assert described["cores"] >= 1
    assert "node" not in described
    assert describe_versions()["grpcio"]
