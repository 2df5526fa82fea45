from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.ratios import (
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


@settings(max_examples=20)
@given(FIGURES)
def test_the_interval_holds_the_median_and_stays_within_the_rounds(rounds: list[float]) -> None:
    ratio = paired_ratio(rounds, [1.0] * len(rounds))
    assert min(rounds) <= ratio.low <= ratio.high <= max(rounds)


def test_the_same_rounds_have_the_same_interval_again() -> None:
    rounds = (1.0, 1.3, 0.9, 1.1, 1.2, 1.0, 1.4)
    before = median_interval(rounds)
    median_interval.cache_clear()
    assert median_interval(rounds) == before


def test_one_wild_round_does_not_move_the_median() -> None:
    ratio = paired_ratio([40, 41, 39, 40, 400], [10] * 5)
    assert ratio.value == 4.0
    assert ratio.withheld == ""


def test_a_ratio_that_one_round_carries_is_withheld() -> None:
    ratio = paired_ratio([20, 20, 60, 60, 60], [10] * 5)
    assert ratio.withheld == "one round carries it: without that one it moves by 33%"


def test_two_rounds_are_too_few_for_a_ratio() -> None:
    assert paired_ratio([20, 20], [10, 10]).withheld == (
        "only 2 of the 3 rounds that a ratio needs"
    )


def test_leaving_one_out_is_told_as_a_share_of_the_median() -> None:
    assert leave_one_out_shift([1.0, 2.0, 4.0]) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("above", "below"), [([1.0], [1.0, 1.0]), ([], []), ([0.0], [1.0]), ([1.0], [-1.0])]
)
def test_a_ratio_needs_the_same_rounds_and_positive_figures(
    above: list[float], below: list[float]
) -> None:
    with pytest.raises(ValueError, match="a ratio needs"):
        paired_ratio(above, below)
