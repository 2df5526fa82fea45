"""What a run gave: medians of each round, their ratios, and the table and JSON of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ratios import Ratio, paired_ratio

# What the larger shop may cost over the smaller one.
TARGET = 3.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One operation: the median latency of each round in microseconds, by the shop's size."""

    rounds: tuple[Mapping[int, float], ...]
    sizes: tuple[int, int]

    def p50_ms(self, size: int) -> float:
        """Return the median of the rounds, in milliseconds."""
        return statistics.median(one[size] for one in self.rounds) / 1000

    @property
    def ratio(self) -> Ratio:
        """How many times as long the larger shop takes."""
        small, large = self.sizes
        return paired_ratio(
            [one[large] for one in self.rounds], [one[small] for one in self.rounds]
        )

    @property
    def is_within_target(self) -> bool:
        """True when the median of the rounds' ratios is."""
        return self.ratio.value <= TARGET


@dataclass(frozen=True, slots=True)
class ScaleResults:
    """All that one run has measured."""

    made: str
    seconds: float
    sizes: tuple[int, int]
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    stores: tuple[str, ...]
    operations: Mapping[str, Measured]

    def table(self) -> str:
        """Return the table of the report, in Markdown."""
        small, large = self.sizes
        lines = [
            f"| p50 through the edge | {small:,} rows | {large:,} rows | ratio (rounds) |",
            "|---|---|---|---|",
        ]
        for operation, measured in self.operations.items():
            ratio = measured.ratio
            missed = "" if measured.is_within_target else f", **above {TARGET:g}**"
            p50s = " | ".join(f"{measured.p50_ms(size):.1f} ms" for size in (small, large))
            told = f"**{ratio.value:.2f}** ({ratio.low:.2f} to {ratio.high:.2f}){missed}"
            lines.append(f"| {operation} | {p50s} | {told} |")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON; `from_dict` gives it back unchanged."""
        return {
            "made": self.made,
            "seconds": round(self.seconds, 1),
            "sizes": list(self.sizes),
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "stores": list(self.stores),
            "operations": {
                name: [{str(size): p50 for size, p50 in one.items()} for one in measured.rounds]
                for name, measured in self.operations.items()
            },
        }

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> ScaleResults:
        """Return the results that `to_dict` wrote."""
        small, large = known["sizes"]
        return cls(
            known["made"],
            known["seconds"],
            (small, large),
            known["machine"],
            known["versions"],
            tuple(known["stores"]),
            {
                name: Measured(
                    tuple({int(size): p50 for size, p50 in one.items()} for one in rounds),
                    (small, large),
                )
                for name, rounds in known["operations"].items()
            },
        )

    def write(self, file: Path) -> None:
        """Write it down."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(self.to_dict(), indent=1) + "\n")
