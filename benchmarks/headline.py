"""The seven figures that the benchmark is judged by, with the values asked of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.plan import (
    GET_BY_ID,
    LIST_50,
    MONOLITH,
    READS,
    REST_FAIR,
    REST_NAIVE,
    Part,
)
from benchmarks.ratios import Ratio
from benchmarks.results import COLUMNS, CPU, THROUGHPUT, Results, base_of


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the headline.

    Attributes:
        bound: what it must reach, or must not exceed where less is better.
        aim: what is hoped for.
    """

    name: str
    title: str
    part: Part
    operation: str
    callers: int
    over: str
    measure: str
    bound: float
    aim: float
    less_is_better: bool = False

    def reaches(self, value: float) -> bool:
        """True when the bound is kept."""
        return value <= self.bound if self.less_is_better else value >= self.bound


FIGURES: Sequence[Figure] = (
    Figure(
        "hop_point_over_naive",
        "hop, point read, gRPC over naive REST, 16 callers",
        "hop", GET_BY_ID, 16, REST_NAIVE, THROUGHPUT, 5.0, 6.5,
    ),
    Figure(
        "hop_point_over_fair",
        "hop, point read, gRPC over fair REST, 16 callers",
        "hop", GET_BY_ID, 16, REST_FAIR, THROUGHPUT, 2.5, 4.0,
    ),
    Figure(
        "hop_list50_over_fair",
        "hop, list 50, gRPC over fair REST, 16 callers",
        "hop", LIST_50, 16, REST_FAIR, THROUGHPUT, 1.5, 3.0,
    ),
    Figure(
        "chain_point_over_fair_c64",
        "chain, point read, gRPC over fair REST, 64 connections",
        "chain", READS, 64, REST_FAIR, THROUGHPUT, 2.0, 2.78,
    ),
    Figure(
        "chain_point_over_naive_c64",
        "chain, point read, gRPC over naive REST, 64 connections",
        "chain", READS, 64, REST_NAIVE, THROUGHPUT, 7.0, 12.0,
    ),
    Figure(
        "layered_over_monolithic_c64",
        "layered gRPC over monolithic, point read, 64 connections",
        "chain", READS, 64, MONOLITH, THROUGHPUT, 0.5, 0.8,
    ),
    Figure(
        "cpu_layered_over_monolithic",
        "CPU per request, layered gRPC over monolithic, 64 connections",
        "chain", READS, 64, MONOLITH, CPU, 2.5, 1.6, less_is_better=True,
    ),
)  # fmt: skip


def headline_of(results: Results, store: str = "embedded") -> dict[str, dict[str, Any]]:
    """Return each figure with its two columns, and the interval of what is shipped.

    A ratio that cannot be stood by is null, with the reason in `withheld`.
    """
    return {figure.name: _told(figure, results, store) for figure in FIGURES}


def _told(figure: Figure, results: Results, store: str) -> dict[str, Any]:
    cell = results.cell(figure.part, store, figure.operation, figure.callers)
    told: dict[str, Any] = dict.fromkeys(("transport_only", "as_shipped", "low", "high"))
    if cell is None:
        return told | {"withheld": "not measured in this run"}
    found: dict[str, Ratio | None] = {
        column: results.compare(cell, figure.measure, variant, base_of(column, figure.over))
        for column, variant in COLUMNS.items()
    }
    reasons = []
    for column, ratio in found.items():
        reason = "not measured in this run" if ratio is None else ratio.withheld
        if ratio is None or reason:
            reasons.append(f"{column}: {reason}")
        else:
            told[column] = round(ratio.value, 3)
    shipped = found["as_shipped"]
    if shipped is not None and told["as_shipped"] is not None:
        told |= {"low": round(shipped.low, 3), "high": round(shipped.high, 3)}
    return told | {"withheld": "; ".join(reasons)} if reasons else told


def verdicts(headline: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Say of each figure whether it reaches what is asked, in a word.

    It is uncertain when the interval holds what is asked: another run might say otherwise.
    """
    return {figure.name: _verdict(figure, headline[figure.name]) for figure in FIGURES}


def _verdict(figure: Figure, told: Mapping[str, Any]) -> str:
    value = told["as_shipped"]
    if value is None:
        return "withheld"
    if told["low"] < figure.bound < told["high"]:
        return "uncertain"
    return "reached" if figure.reaches(value) else "missed"
