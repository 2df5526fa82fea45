"""What a dashboard shows, before it is one of Grafana's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# Grafana's names of units.
Unit = Literal["reqps", "s", "percentunit", "short", "ops", "bytes"]

# Grafana puts in what fits the picture: several scrapes at least.
RATE = "[$__rate_interval]"


@dataclass(frozen=True, slots=True)
class Query:
    """A line, or several; the legend may name labels in double braces."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture of how something went over time."""

    title: str
    # What a reader is to look for.
    description: str
    unit: Unit
    queries: Sequence[Query]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Pictures under one title; `name` stands in its address and its file's name."""

    name: str
    title: str
    panels: Sequence[Panel]


def rate(series: str, by: str = "", matching: str = "") -> str:
    """Return how often a counter went up, a second, in sum or by labels."""
    return f"{_sum(by)}(rate({series}{_braces(matching)}{RATE}))"


def share(series: str, part: str, by: str = "") -> str:
    """Return which share of a counter's rise had these labels, between 0 and 1.

    Nothing at all is no share: the picture has a gap there, not a zero.
    """
    return f"{rate(series, by, part)} / {rate(series, by)}"


def quantile(q: float, histogram: str, by: str = "", matching: str = "") -> str:
    """Return below what a share of a histogram's observations was."""
    labels = f"le, {by}" if by else "le"
    buckets = f"rate({histogram}_bucket{_braces(matching)}{RATE})"
    return f"histogram_quantile({q:g}, sum by ({labels}) ({buckets}))"


def _sum(by: str) -> str:
    return f"sum by ({by}) " if by else "sum"


def _braces(matching: str) -> str:
    return f"{{{matching}}}" if matching else ""
