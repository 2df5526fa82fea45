from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.ratios import (
    MIN_INTERVAL_ROUNDS,
    leave_one_out_shift,
    median_interval,
    paired_ratio,
    percentile,
)

FIGURES = st.lists(st.floats(0.1, 1000), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 5), (95, 10), (99, 10), (10, 1), (1, 1), (100, 10)]
)
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: int) -> None:
    assert percentile(range(1, 11), percent) == expected


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_a_ratio_is_the_median_of_the_rounds_and_not_of_the_totals() -> None:
    # In the second round the whole machine was ten times as fast.
    ratio = paired_ratio([20, 200, 22], [10, 100, 10])
    assert ratio.value == 2.0
    assert ratio.rounds == (2.0, 2.0, 2.2)
    assert ratio.withheld == ""


def test_rounds_that_agree_leave_no_doubt() -> None:
    ratio = paired_ratio([30] * 5, [10] * 5)
    assert (ratio.value, ratio.low, ratio.high) == (3.0, 3.0, 3.0)


@settings(max_examples=50)
@given(FIGURES)
def test_the_interval_holds_the_median_and_stays_within_the_rounds(rounds: list[float]) -> None:
    ratio = paired_ratio(rounds, [1.0] * len(rounds))
    assert min(rounds) <= ratio.low <= ratio.high <= max(rounds)


@pytest.mark.parametrize(
    ("count", "expected"), [(1, (1, 1)), (5, (1, 5)), (6, (1, 6)), (8, (1, 8)), (9, (2, 8))]
)
def test_the_interval_lies_between_two_of_the_rounds(
    count: int, expected: tuple[float, float]
) -> None:
    assert median_interval([float(value) for value in range(count, 0, -1)]) == expected


@pytest.mark.parametrize("count", [MIN_INTERVAL_ROUNDS, 9, 12])
def test_the_interval_keeps_what_it_promises(count: int) -> None:
    dice = random.Random(count)
    held = 0
    for _ in range(2000):
        # Skewed, as times are; its median is 1.
        low, high = median_interval([dice.lognormvariate(0, 0.5) for _ in range(count)])
        held += low <= 1 <= high
    # 95 % but for the doubt of 2,000 tries.
    assert held > 0.94 * 2000


def test_fewer_rounds_than_an_interval_needs_have_a_range() -> None:
    assert paired_ratio([20.0] * (MIN_INTERVAL_ROUNDS - 1), [10.0] * 5).is_range
    assert not paired_ratio([20.0] * MIN_INTERVAL_ROUNDS, [10.0] * 6).is_range


def test_one_wild_round_does_not_move_the_median() -> None:
    ratio = paired_ratio([40, 41, 39, 40, 400], [10] * 5)
    assert ratio.value == 4.0
    assert ratio.withheld == ""


def test_a_ratio_that_one_round_carries_is_withheld() -> None:
    ratio = paired_ratio([20, 20, 60, 60, 60], [10] * 5)
    assert ratio.withheld == "one round carries it: without that one it moves by 33%"


@pytest.mark.parametrize(
    "rounds",
    [
        # One wild round, and nothing that says which of the others is true.
        (1.0, 2.0, 9.0),
        # Two groups: the median is between them, or in the one that has a round more.
        (1.0, 1.1, 1.0, 5.0, 5.2, 5.1),
        (1.0, 1.1, 1.0, 1.1, 5.0, 5.2, 5.1, 5.0, 5.1),
    ],
)
def test_a_median_in_a_gap_between_the_rounds_is_withheld(rounds: tuple[float, ...]) -> None:
    assert "one round carries it" in paired_ratio(rounds, [1.0] * len(rounds)).withheld


@pytest.mark.parametrize(
    "rounds",
    [
        # Leaving one out moves this by 11 %, whichever it is of three.
        (2.0, 3.0, 4.0, 5.0, 6.0, 7.0),
        # What a busy machine gave.
        (1.43, 0.8, 1.03, 2.51, 1.55, 1.14),
        (4.93, 2.2, 1.67, 3.53, 2.98, 2.02),
    ],
)
def test_a_ratio_that_is_evenly_noisy_is_told_with_its_wide_interval(
    rounds: tuple[float, ...],
) -> None:
    ratio = paired_ratio(rounds, [1.0] * len(rounds))
    assert leave_one_out_shift(rounds) > 0.1 * ratio.value
    assert ratio.withheld == ""
    assert (ratio.low, ratio.high) == (min(rounds), max(rounds))


def test_noise_alone_is_hardly_ever_withheld() -> None:
    dice = random.Random(7)
    withheld = sum(
        bool(paired_ratio([dice.lognormvariate(0, 0.4) for _ in range(6)], [1.0] * 6).withheld)
        for _ in range(1000)
    )
    assert withheld < 20


def test_two_rounds_are_too_few_for_a_ratio() -> None:
    assert paired_ratio([20, 20], [10, 10]).withheld == (
        "only 2 of the 3 rounds that a ratio needs"
    )


def test_leaving_one_out_moves_the_median_to_its_neighbours() -> None:
    assert leave_one_out_shift([1.0, 2.0, 4.0]) == 1.0


@pytest.mark.parametrize(
    ("above", "below"), [([1.0], [1.0, 1.0]), ([], []), ([0.0], [1.0]), ([1.0], [-1.0])]
)
def test_a_ratio_needs_the_same_rounds_and_positive_figures(
    above: list[float], below: list[float]
) -> None:
    with pytest.raises(ValueError, match="a ratio needs"):
        paired_ratio(above, below)
