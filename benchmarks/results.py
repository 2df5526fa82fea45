"""All that one run has measured, what follows from it, and its form as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.plan import (
    GRPC,
    GRPC_PLAIN,
    MONOLITH,
    MONOLITH_PLAIN,
    OPERATIONS,
    REST_BEST,
    REST_FAIR,
    REST_NAIVE,
    VARIANTS,
    Cell,
)
from benchmarks.ratios import CONFIDENCE, Ratio, paired_ratio
from benchmarks.samples import Sample

FORMAT = 2

THROUGHPUT = "throughput"
CPU = "CPU per call"
# Which column of the report a variant of gRPC fills.
COLUMNS = MappingProxyType({"transport_only": GRPC_PLAIN, "as_shipped": GRPC})
# What gRPC is compared with, by the columns that the comparison has. Against the best REST only
# what is shipped is compared: with coalescing on one side alone it would be no comparison.
COMPARED: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        REST_FAIR: ("transport_only", "as_shipped"),
        REST_BEST: ("as_shipped",),
        REST_NAIVE: ("transport_only", "as_shipped"),
        MONOLITH: ("transport_only", "as_shipped"),
    }
)


def base_of(column: str, over: str) -> str:
    """Return the variant that a column is divided by: coalescing is on in both, or in neither."""
    return MONOLITH_PLAIN if (column, over) == ("transport_only", MONOLITH) else over


@dataclass(frozen=True, slots=True)
class Comparison:
    """One ratio of the report: a column's variant over another, in one cell, by one measure."""

    cell: Cell
    measure: str
    column: str
    over: str
    ratio: Ratio


@dataclass(frozen=True, slots=True)
class Wire:
    """Bytes of one hop per call, both ways, as TCP payload."""

    hop: str
    operation: str
    variant: str
    callers: int
    up: float
    down: float


@dataclass(slots=True)
class Results:
    """The samples of every cell and variant; those of each in the order of the rounds."""

    plan: str
    seed: int
    made: str = ""
    seconds: float = 0.0
    machine: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    stores: Mapping[str, Sequence[str]] = field(default_factory=dict)
    samples: dict[tuple[Cell, str], list[Sample]] = field(default_factory=dict)
    wire: list[Wire] = field(default_factory=list)

    def add(self, cell: Cell, variant: str, sample: Sample) -> None:
        """Take in what a variant gave in one round."""
        self.samples.setdefault((cell, variant), []).append(sample)

    def sort(self, cells: Sequence[Cell]) -> None:
        """Put the samples into the order of these cells and their variants."""
        self.samples = {
            (cell, variant): self.samples[cell, variant]
            for cell in cells
            for variant in cell.variants
            if (cell, variant) in self.samples
        }

    def cells(self) -> list[Cell]:
        """Return the cells in the order of their samples."""
        return list(dict.fromkeys(cell for cell, _ in self.samples))

    def cell(self, part: str, store: str, operation: str, callers: int) -> Cell | None:
        """Return the cell with this key, None where it was not measured."""
        wanted = (part, store, operation, callers)
        return next((cell for cell in self.cells() if cell.key == wanted), None)

    def compare(self, cell: Cell, measure: str, variant: str, over: str) -> Ratio | None:
        """Return a variant's ratio over another, None where one of them was not measured."""
        above, below = self.samples.get((cell, variant)), self.samples.get((cell, over))
        if not above or not below:
            return None
        figure = _FIGURES[measure]
        figures = [figure(sample) for sample in above], [figure(sample) for sample in below]
        # The kernel counts in ticks: a turn may be too short for any of them.
        if min(map(min, figures)) <= 0:
            return None
        return paired_ratio(*figures)

    def comparisons(self) -> Iterator[Comparison]:
        """Yield every ratio that the report tells."""
        for cell in self.cells():
            for over, columns in COMPARED.items():
                for column in columns:
                    for measure in (THROUGHPUT, CPU):
                        base = base_of(column, over)
                        ratio = self.compare(cell, measure, COLUMNS[column], base)
                        if ratio is not None:
                            yield Comparison(cell, measure, column, over, ratio)

    def to_dict(self, headline: Mapping[str, Any], *, latencies: bool = True) -> dict[str, Any]:
        """Return it for JSON; without every latency it is small enough to be committed."""
        return {
            "format": FORMAT,
            "plan": self.plan,
            "seed": self.seed,
            "made": self.made,
            "seconds": round(self.seconds, 1),
            "headline": dict(headline),
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "stores": {kind: list(notes) for kind, notes in self.stores.items()},
            "variants": dict(VARIANTS),
            "operations": dict(OPERATIONS),
            "ratios": [_comparison_dict(each) for each in self.comparisons()],
            "wire": [asdict(each) for each in self.wire],
            "samples": [
                _samples_dict(cell, variant, samples, latencies=latencies)
                for (cell, variant), samples in self.samples.items()
            ],
        }

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> Results:
        """Return what `to_dict` wrote with every latency."""
        results = cls(
            plan=known["plan"],
            seed=known["seed"],
            made=known["made"],
            seconds=known["seconds"],
            machine=known["machine"],
            versions=known["versions"],
            stores=known["stores"],
            wire=[Wire(**each) for each in known["wire"]],
        )
        for each in known["samples"]:
            variants = tuple(
                other["variant"] for other in known["samples"] if _key(other) == _key(each)
            )
            cell = Cell(*_key(each), variants)
            for round_ in each["rounds"]:
                results.add(cell, each["variant"], Sample.from_dict(round_))
        return results


def total_cpu(sample: Sample) -> float:
    """Return the CPU seconds per 1,000 calls of all that serves; the load generator's are not."""
    return sum(used for name, used in sample.cpu_per_1000.items() if name != "load")


_FIGURES: Mapping[str, Callable[[Sample], float]] = MappingProxyType(
    {THROUGHPUT: lambda sample: sample.throughput, CPU: total_cpu}
)


def save(document: Mapping[str, Any], file: Path) -> None:
    """Write a document as JSON, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(document, indent=1) + "\n")
    unfinished.replace(file)


def read(file: Path) -> Results:
    """Read what `save` wrote of results with every latency."""
    return Results.from_dict(json.loads(file.read_text()))


def _key(known: Mapping[str, Any]) -> tuple[Any, Any, Any, Any]:
    return known["part"], known["store"], known["operation"], known["callers"]


def _cell_dict(cell: Cell) -> dict[str, Any]:
    return dict(zip(("part", "store", "operation", "callers"), cell.key, strict=True))


def _comparison_dict(each: Comparison) -> dict[str, Any]:
    ratio = each.ratio
    told = asdict(ratio)
    if ratio.withheld:
        # The rounds stay: whoever wants to know why it is withheld sees it.
        told |= dict.fromkeys(("value", "low", "high"))
    return {
        **_cell_dict(each.cell),
        "measure": each.measure,
        "column": each.column,
        "variant": COLUMNS[each.column],
        "over": base_of(each.column, each.over),
        **told,
        "interval": "range of the rounds" if ratio.is_range else f"{CONFIDENCE:.0%}",
    }


def _samples_dict(
    cell: Cell, variant: str, samples: Sequence[Sample], *, latencies: bool
) -> dict[str, Any]:
    rounds = []
    for sample in samples:
        told = sample.to_dict()
        if not latencies:
            del told["latencies_us"]
        told |= {
            "count": sample.count,
            "throughput": round(sample.throughput, 2),
            "cpu_per_1000": {name: round(cpu, 5) for name, cpu in sample.cpu_per_1000.items()},
        }
        told |= {f"p{percent}_us": value for percent, value in sample.percentiles_us().items()}
        rounds.append(told)
    return {**_cell_dict(cell), "variant": variant, "rounds": rounds}
