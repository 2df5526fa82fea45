"""The plots of the report, as SVG."""

from __future__ import annotations

import io
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.headline import FIGURES
from benchmarks.plan import READS, VARIANTS, Cell
from benchmarks.ratios import MIN_INTERVAL_ROUNDS, percentile
from benchmarks.results import THROUGHPUT, Results
from benchmarks.samples import Sample

# Told apart without colour vision too (Okabe and Ito, 2008).
_PALETTE = ("#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#CC79A7", "#009E73", "#000000", "#999999")
COLOURS = dict(zip(VARIANTS, _PALETTE, strict=True))
_TIERS = {
    "load": "#ffffff",
    "caller": "#bbbbbb",
    "controller": "#0072B2",
    "service": "#56B4E9",
    "repository": "#E69F00",
    "monolith": "#000000",
    "database": "#009E73",
    "cache": "#CC79A7",
}
# Enough for a smooth curve, few enough for a small file.
_CURVE_POINTS = 200
_STYLE: Any = {
    # The same picture for the same figures.
    "svg.hashsalt": "arcana",
    # Text stays text: smaller, and a reader can search it.
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}


def plots(results: Results, headline: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return each plot's SVG by its file's name, in the order of the report."""
    made: dict[str, str] = {}
    with mpl.rc_context(_STYLE):
        made["headline.svg"] = _svg(headline_plot(headline))
        for part in ("hop", "chain"):
            if any(cell.part == part for cell in results.cells()):
                made[f"{part}-latency.svg"] = _svg(latency_plot(results, part))
                made[f"{part}-ratios.svg"] = _svg(ratio_plot(results, part))
                made[f"{part}-cpu.svg"] = _svg(cpu_plot(results, part))
        if _by_connections(results):
            made["chain-throughput.svg"] = _svg(connections_plot(results))
    return made


def headline_plot(headline: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draw the headline's ratios with their intervals, and what is asked of them."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    for place, asked in enumerate(reversed(FIGURES)):
        told = headline[asked.name]
        axes.plot(asked.bound, place, "|", color="#D55E00", markersize=14, markeredgewidth=2)
        axes.plot(asked.aim, place, "|", color="#009E73", markersize=14, markeredgewidth=2)
        if told["transport_only"] is not None:
            axes.plot(told["transport_only"], place, "o", mfc="white", color="#0072B2")
        if told["as_shipped"] is not None:
            axes.plot([told["low"], told["high"]], [place, place], "-", color="#0072B2", lw=3)
            axes.plot(told["as_shipped"], place, "o", color="#0072B2")
    axes.set_yticks(range(len(FIGURES)), [each.title for each in reversed(FIGURES)])
    axes.set_xscale("log")
    _plain_ticks(axes)
    figure.suptitle(
        "full: as shipped, with its interval; hollow: transport only; red: asked; green: aim",
        fontsize=8,
    )
    return figure


def latency_plot(results: Results, part: str) -> Figure:
    """Draw the share of calls that took at most so long, for the cells that tell most."""
    cells = _telling_cells(results, part)
    figure = Figure(figsize=(4 * len(cells), 3.2), layout="constrained")
    for axes, cell in zip(_all_axes(figure, len(cells)), cells, strict=True):
        for variant in cell.variants:
            latencies = sorted(
                value
                for sample in results.samples.get((cell, variant), [])
                for value in sample.latencies_us
            )
            if latencies:
                shares = [100 * step / _CURVE_POINTS for step in range(1, _CURVE_POINTS + 1)]
                curve = [percentile(latencies, share) / 1000 for share in shares]
                axes.plot(curve, shares, color=COLOURS[variant], label=variant, lw=1.4)
        axes.set_xscale("log")
        axes.set_xlabel("ms")
        axes.set_ylabel("% of calls")
        axes.set_title(_title(cell), fontsize=9)
    _legend(figure)
    return figure


def ratio_plot(results: Results, part: str) -> Figure:
    """Draw every ratio of throughput with its interval."""
    found = [
        each
        for each in results.comparisons()
        if each.cell.part == part and each.measure == THROUGHPUT and not each.ratio.withheld
    ]
    rows = list(dict.fromkeys((each.cell, each.over) for each in found))
    figure = Figure(figsize=(8, 1 + 0.24 * max(len(rows), 1)), layout="constrained")
    axes = figure.subplots()
    for each in found:
        place = len(rows) - rows.index((each.cell, each.over))
        shipped = each.column == "as_shipped"
        place_shown = place + (0.12 if shipped else -0.12)
        axes.plot(
            [each.ratio.low, each.ratio.high],
            [place_shown, place_shown],
            "-",
            color=COLOURS[each.over],
            lw=2,
        )
        axes.plot(
            each.ratio.value,
            place_shown,
            "o",
            color=COLOURS[each.over],
            mfc=COLOURS[each.over] if shipped else "white",
            markersize=5,
        )
    axes.axvline(1, color="#000000", lw=0.8)
    axes.set_yticks(range(len(rows), 0, -1), [f"{_title(cell)} over {over}" for cell, over in rows])
    axes.tick_params(axis="y", labelsize=7)
    axes.set_xscale("log")
    _plain_ticks(axes)
    figure.suptitle(
        "throughput of gRPC over the other; full: as shipped, hollow: transport only; "
        f"lines: 95 % interval, or the range of fewer than {MIN_INTERVAL_ROUNDS} rounds",
        fontsize=8,
    )
    return figure


def cpu_plot(results: Results, part: str) -> Figure:
    """Draw where the CPU time goes: per 1,000 calls, by process."""
    cells = _telling_cells(results, part)
    figure = Figure(figsize=(4 * len(cells), 3.2), layout="constrained")
    for axes, cell in zip(_all_axes(figure, len(cells)), cells, strict=True):
        shown = [variant for variant in cell.variants if (cell, variant) in results.samples]
        left = [0.0] * len(shown)
        for tier, colour in _TIERS.items():
            widths = [_median_cpu(results.samples[cell, each], tier) for each in shown]
            if tier != "load" and any(widths):
                axes.barh(shown, widths, left=left, color=colour, label=tier, edgecolor="white")
                left = [before + width for before, width in zip(left, widths, strict=True)]
        axes.invert_yaxis()
        axes.set_xlabel("CPU seconds per 1,000 calls")
        axes.set_title(_title(cell), fontsize=9)
    _legend(figure)
    return figure


def connections_plot(results: Results) -> Figure:
    """Draw the chain's throughput against the number of connections."""
    by_store = _by_connections(results)
    figure = Figure(figsize=(5 * len(by_store), 3.4), layout="constrained")
    for axes, (store, cells) in zip(
        _all_axes(figure, len(by_store)), by_store.items(), strict=True
    ):
        for variant in VARIANTS:
            points = [
                (cell.callers, [sample.throughput for sample in results.samples[cell, variant]])
                for cell in cells
                if (cell, variant) in results.samples
            ]
            if points:
                counts = [count for count, _ in points]
                medians = [statistics.median(rounds) for _, rounds in points]
                reach = [
                    [
                        median - min(rounds)
                        for median, (_, rounds) in zip(medians, points, strict=True)
                    ],
                    [
                        max(rounds) - median
                        for median, (_, rounds) in zip(medians, points, strict=True)
                    ],
                ]
                axes.errorbar(
                    counts, medians, reach, color=COLOURS[variant], label=variant, marker="o", ms=3
                )
        counts = sorted({cell.callers for cell in cells})
        axes.set_xscale("log", base=4)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_xlabel("connections")
        axes.set_ylabel("requests/s")
        axes.set_title(f"{READS}, {store} stores; bars: all rounds", fontsize=9)
    _legend(figure)
    return figure


def _telling_cells(results: Results, part: str) -> list[Cell]:
    """Return at most three cells of a part: the busiest of each operation that stands first."""
    busiest: dict[tuple[str, str], Cell] = {}
    for cell in results.cells():
        if cell.part == part:
            key = cell.store, cell.operation
            if key not in busiest or busiest[key].callers < cell.callers:
                busiest[key] = cell
    return list(busiest.values())[:3]


def _by_connections(results: Results) -> dict[str, list[Cell]]:
    found: dict[str, list[Cell]] = {}
    for cell in results.cells():
        if cell.part == "chain" and cell.operation == READS:
            found.setdefault(cell.store, []).append(cell)
    return {
        store: sorted(cells, key=lambda cell: cell.callers)
        for store, cells in found.items()
        if len(cells) > 1
    }


def _median_cpu(samples: Sequence[Sample], tier: str) -> float:
    return statistics.median(sample.cpu_per_1000.get(tier, 0.0) for sample in samples)


def _title(cell: Cell) -> str:
    return f"{cell.operation}, {cell.callers} at a time, {cell.store}"


def _all_axes(figure: Figure, count: int) -> Iterator[Axes]:
    yield from figure.subplots(1, count, squeeze=False)[0]


def _legend(figure: Figure) -> None:
    labelled = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        list(labelled.values()),
        list(labelled),
        loc="outside lower center",
        ncols=max(len(labelled), 1),
        fontsize=8,
    )


def _plain_ticks(axes: Axes) -> None:
    """Write 0.5 and 20, not powers of ten."""
    low, high = axes.get_xlim()
    steps = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)
    shown = [step for step in steps if low <= step <= high]
    axes.set_xticks(shown, [f"{step:g}" for step in shown])
    axes.set_xticks([], minor=True)


def _svg(figure: Figure) -> str:
    file = io.StringIO()
    # No date: the same figures give the same file.
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
