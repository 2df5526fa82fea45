"""The arithmetic of the comparison: percentiles, and ratios of paired rounds with their doubt.

Two variants are never compared by their totals. In each round both ran once, a few seconds apart,
so a round gives one ratio; what is told is the median of these, with a bootstrap interval.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

CONFIDENCE = 0.95
RESAMPLES = 2000
# With fewer rounds no ratio can be told from chance.
MIN_ROUNDS = 3
# A median that moves further than this when one round is left out is carried by that round.
MAX_LEAVE_ONE_OUT_SHIFT = 0.10
# The same doubt for the same samples, whoever computes it.
_SEED = 20_240_229


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as much one variant gave as another.

    Attributes:
        value: the median of the rounds' ratios.
        low: the lower end of its interval, at 95 % confidence.
        high: the upper end.
        rounds: the ratio of each round, in the order of the rounds.
        withheld: why it must not be told; empty when it may be.
    """

    value: float
    low: float
    high: float
    rounds: tuple[float, ...]
    withheld: str = ""


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of all do not exceed (nearest rank).

    Raises:
        ValueError: there are no values.
    """
    if not ordered:
        raise ValueError("no values, no percentile")
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


@lru_cache(maxsize=4096)
def median_interval(values: tuple[float, ...]) -> tuple[float, float]:
    """Return the percentile-bootstrap interval of the median (Efron and Tibshirani, 1993, 13.3)."""
    dice = random.Random(_SEED)  # noqa: S311 - resampling keeps no secret.
    count = len(values)
    medians = sorted(statistics.median(dice.choices(values, k=count)) for _ in range(RESAMPLES))
    beyond = (1 - CONFIDENCE) / 2
    return percentile(medians, 100 * beyond), percentile(medians, 100 * (1 - beyond))


def leave_one_out_shift(values: Sequence[float]) -> float:
    """Return how far the median moves at most when one value is left out, as a share of it."""
    whole = statistics.median(values)
    moved = [
        abs(statistics.median([*values[:index], *values[index + 1 :]]) - whole)
        for index in range(len(values))
    ]
    return max(moved) / whole


def paired_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Ratio:
    """Return the ratio of two variants from what each gave in the same rounds.

    Raises:
        ValueError: the rounds are not the same, there are none, or a figure is not positive.
    """
    if len(numerators) != len(denominators) or not numerators:
        raise ValueError("a ratio needs the same rounds on both sides, and at least one")
    if min(*numerators, *denominators) <= 0:
        raise ValueError("a ratio needs positive figures")
    rounds = tuple(above / below for above, below in zip(numerators, denominators, strict=True))
    low, high = median_interval(rounds)
    return Ratio(statistics.median(rounds), low, high, rounds, _why_withheld(rounds))


def _why_withheld(rounds: Sequence[float]) -> str:
    if len(rounds) < MIN_ROUNDS:
        return f"only {len(rounds)} of the {MIN_ROUNDS} rounds that a ratio needs"
    shift = leave_one_out_shift(rounds)
    if shift > MAX_LEAVE_ONE_OUT_SHIFT:
        return f"one round carries it: without that one it moves by {shift:.0%}"
    return ""
