"""Pauses between attempts."""

from __future__ import annotations

import pytest

from repository_tier.backoff import pause_seconds


@pytest.mark.parametrize(("attempt", "longest"), [(1, 2), (2, 4), (5, 32), (90, 600), (2000, 600)])
def test_pauses_double_up_to_a_bound_and_are_shortened_by_chance(
    attempt: int, longest: float
) -> None:
    assert pause_seconds(attempt, 2.0, 600.0, 1.0) == longest
    assert pause_seconds(attempt, 2.0, 600.0, 0.5) == longest * 0.75
    assert pause_seconds(attempt, 2.0, 600.0, 0.0) == longest / 2
