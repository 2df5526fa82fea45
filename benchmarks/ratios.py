"""The arithmetic of the comparison: percentiles, and ratios of paired rounds with their doubt.

Two variants are never compared by their totals. In each round both ran once, a few seconds apart,
so a round gives one ratio; what is told is the median of these, with an interval.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
# With fewer rounds no ratio can be told from chance.
MIN_ROUNDS = 3
# With fewer not even the range of all rounds holds the median at this confidence (2 * 0.5**5 > 5
# %).
MIN_INTERVAL_ROUNDS = 6
# A median that moves no further than this when one round is left out stands on all of them.
MAX_LEAVE_ONE_OUT_SHIFT = 0.10
# Nor does one round carry it that moves it by less than this share of the range of all rounds.
#
# Noise alone moves a median: with rounds spread evenly, leaving one out moves it by half of the
# distance of two neighbours, which is 1/6 of the range of 4 rounds, 1/10 of 6 and 1/16 of 9. On a
# noisy machine that may well be more than 10 % of the median, and the interval tells it. Something
# else is a median in a gap: the rounds fall into two groups, and one round decides to which of them
# the median belongs (2, 2, 6, 6, 6: it is 6, and without one of these 4, half of the range away).
# No interval makes such a figure true, so it is withheld.
MAX_SHARE_OF_RANGE = 1 / 3


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as much one variant gave as another.

    Attributes:
        value: the median of the rounds' ratios.
        low: the lower end of its interval.
        high: the upper end.
        rounds: the ratio of each round, in the order of the rounds.
        withheld: why it must not be told; empty when it may be.
    """

    value: float
    low: float
    high: float
    rounds: tuple[float, ...]
    withheld: str = ""

    @property
    def is_range(self) -> bool:
        """True when the interval is the range of the rounds, which are too few for more."""
        return len(self.rounds) < MIN_INTERVAL_ROUNDS


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of all do not exceed (nearest rank).

    Raises:
        ValueError: there are no values.
    """
    if not ordered:
        raise ValueError("no values, no percentile")
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the interval between two of the values that holds the median of what they are from.

    These are order statistics (the sign test turned around; Conover, 1999, 3.2): whatever the
    distribution, the confidence is at least 95 % with MIN_INTERVAL_ROUNDS values or more. With
    fewer it is less, and the interval is their range. A bootstrap of so few values promises 95 %
    too, and does not keep it.
    """
    ordered = sorted(values)
    left_out = 0
    while 2 * _binomial(len(ordered), left_out) <= 1 - CONFIDENCE:
        left_out += 1
    beyond = max(left_out - 1, 0)
    return ordered[beyond], ordered[len(ordered) - 1 - beyond]


def _binomial(count: int, most: int) -> float:
    """Return how likely at most so many of the values lie above the median."""
    ways = sum(math.comb(count, number) for number in range(most + 1))
    return ways / (1 << count)


def leave_one_out_shift(values: Sequence[float]) -> float:
    """Return how far the median moves at most when one value is left out."""
    whole = statistics.median(values)
    return max(
        abs(statistics.median([*values[:index], *values[index + 1 :]]) - whole)
        for index in range(len(values))
    )


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
    moved = leave_one_out_shift(rounds)
    share = moved / statistics.median(rounds)
    if share > MAX_LEAVE_ONE_OUT_SHIFT and moved > MAX_SHARE_OF_RANGE * (max(rounds) - min(rounds)):
        return f"one round carries it: without that one it moves by {share:.0%}"
    return ""
