"""The results in the terminal: the headline, and a table for each part and kind of store."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from benchmarks.headline import FIGURES, verdicts
from benchmarks.plan import Cell
from benchmarks.ratios import MIN_INTERVAL_ROUNDS
from benchmarks.results import THROUGHPUT, Comparison, Results, total_cpu
from benchmarks.samples import Sample

_COLOURS = {"reached": "green", "missed": "red", "uncertain": "yellow", "withheld": "yellow"}


class ConsoleProgress:
    """A bar that moves with every turn. Use as a context manager."""

    def __init__(self, console: Console, turns: int) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("starting", total=turns)
        self._console = console

    def stage(self, text: str) -> None:
        """Say what begins now."""
        self._bar.update(self._task, description=text)
        # A log that is no terminal has no bar.
        if not self._console.is_terminal:
            self._console.print(text)

    def turn(self, text: str) -> None:
        """Move on by a turn."""
        self._bar.update(self._task, description=text, advance=1)

    def __enter__(self) -> ConsoleProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def show(console: Console, results: Results, headline: Mapping[str, Mapping[str, Any]]) -> None:
    """Print everything that a run is read for."""
    for cell in results.cells():
        console.print(cell_table(results, cell))
    console.print(ratio_table(results))
    console.print(headline_table(headline))


def cell_table(results: Results, cell: Cell) -> Table:
    """Return a row for each variant of a cell: the medians of its rounds."""
    noun = "callers" if cell.part == "hop" else "connections"
    table = Table(
        title=f"{cell.part}, {cell.store} stores: {cell.operation}, {cell.callers} {noun}",
        title_justify="left",
    )
    table.add_column("variant")
    for name in ("calls/s", "p50 ms", "p95 ms", "p99 ms", "CPU s per 1,000"):
        table.add_column(name, justify="right")
    table.add_column("of which")
    for variant in cell.variants:
        samples = results.samples.get((cell, variant))
        if samples:
            table.add_row(variant, *cell_row(samples))
    return table


def cell_row(samples: list[Sample]) -> Iterator[str]:
    """Yield the figures of one variant in a cell, each the median of its rounds."""
    yield f"{statistics.median(sample.throughput for sample in samples):,.0f}"
    percentiles = [sample.percentiles_us() for sample in samples]
    for percent in percentiles[0]:
        yield f"{statistics.median(each[percent] for each in percentiles) / 1000:,.2f}"
    yield f"{statistics.median(map(total_cpu, samples)):.3f}"
    yield ", ".join(
        f"{name} {statistics.median(sample.cpu_per_1000[name] for sample in samples):.3f}"
        for name in samples[0].cpu_seconds
        if name != "load"
    )


def ratio_table(results: Results) -> Table:
    """Return every ratio of throughput, with both columns side by side."""
    table = Table(
        title="throughput of gRPC over …, with its 95 % interval (with the range of fewer than "
        f"{MIN_INTERVAL_ROUNDS} rounds in [])",
        title_justify="left",
    )
    for name in ("part", "stores", "operation", "at a time", "over"):
        table.add_column(name)
    for name in ("transport only", "as shipped"):
        table.add_column(name, justify="right")
    rows: dict[tuple[Cell, str], dict[str, Comparison]] = {}
    for each in results.comparisons():
        if each.measure == THROUGHPUT:
            rows.setdefault((each.cell, each.over), {})[each.column] = each
    for (cell, over), columns in rows.items():
        table.add_row(
            cell.part,
            cell.store,
            cell.operation,
            str(cell.callers),
            over,
            # As text: rich would take the brackets for its markup.
            *(Text(ratio_text(columns.get(name))) for name in ("transport_only", "as_shipped")),
        )
    return table


def ratio_text(comparison: Comparison | None) -> str:
    """Return a ratio with its interval or, in brackets, its range, unless it must not be told."""
    if comparison is None:
        return "-"
    ratio = comparison.ratio
    if ratio.withheld:
        return "withheld"
    doubt = f"{ratio.low:.2f} to {ratio.high:.2f}"
    return f"{ratio.value:.2f} [{doubt}]" if ratio.is_range else f"{ratio.value:.2f} ({doubt})"


def headline_table(headline: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return the figures that the benchmark is judged by, with what is asked of each."""
    table = Table(title="headline", title_justify="left")
    table.add_column("figure")
    for name in ("transport only", "as shipped", "95 % interval", "asked", "aim"):
        table.add_column(name, justify="right")
    table.add_column("")
    words = verdicts(headline)
    for figure in FIGURES:
        told = headline[figure.name]
        word = words[figure.name]
        sign = "≤" if figure.less_is_better else "≥"
        table.add_row(
            figure.name,
            number(told["transport_only"]),
            number(told["as_shipped"]),
            f"{number(told['low'])} to {number(told['high'])}",
            f"{sign} {figure.bound:g}",
            f"{sign} {figure.aim:g}",
            f"[{_COLOURS[word]}]{word}[/]",
        )
    return table


def number(value: float | None) -> str:
    """Return a figure of the headline; a dash for one that is withheld."""
    return "-" if value is None else f"{value:.2f}"
