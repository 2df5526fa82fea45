"""The report as one HTML file that needs nothing else, and the same plots as files beside it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.headline import FIGURES, headline_of, verdicts
from benchmarks.plan import LEFT_OUT, OPERATIONS, VARIANTS
from benchmarks.plots import plots
from benchmarks.results import CPU, THROUGHPUT, Comparison, Results, save
from benchmarks.table import cell_row, number, ratio_text

TITLE = "gRPC hops against REST hops"
# What one must know to read the figures, and to doubt them.
METHOD = """
All variants run the same handlers on the same data, with the same payload, actor, request id and
deadline; only what stands between the tiers differs. Each is described below: the choice of server
and client alone moves a figure twofold.

The edge has one worker process everywhere. So "layered over monolithic" compares an edge and two
inner tiers, one process each, with one process that does it all, on the same cores.

Each round gives every variant one turn in random order, with a warm-up before the measured time.
Whoever has no turn sleeps (SIGSTOP). One failed call ends the run without a report.

A ratio is the median of the rounds' ratios. From six rounds on its interval has a confidence of at
least 95 % whatever the distribution (order statistics); with fewer, the range of the rounds stands
in square brackets instead, and promises nothing. A ratio is withheld when one round carries it:
when leaving that round out moves it by more than 10 %, and by more than a third of the range of all
rounds. It is withheld too when there are fewer than three rounds. A figure of the headline is
"uncertain" when what is asked lies inside its interval.

"Transport only" is gRPC without coalescing and without passing bytes on, over REST, or over the
monolith, without coalescing. "As shipped" is gRPC as it runs by default, with coalescing of
concurrent point reads and with bytes passed on by tiers that read no field. Fair and naive REST
have neither, in both columns (the REST hops that we ship do coalesce); so "as shipped" over them is
no ratio of transports alone. The monolith coalesces in that column.

The best REST coalesces as well, but it has not all that gRPC has: what a tier has cached is
protobuf, which gRPC passes on as it is. The server of any REST hop parses it and encodes JSON for
every answer, and its caller serializes what it has decoded where it passes that on; for 50 users
these two take about 15 µs that a tier would save that knows nothing but JSON. So the ratio over the
best REST holds, beside the transport, what passing bytes on is worth.

A call of a lone hop is sent once. In the chain the tiers themselves call, with the retries that
they are shipped with (reads, when the next tier is unavailable), over gRPC, fair and best REST
alike; naive REST and the monolith never repeat a call. One that fails and is repeated with success
is not seen there but as a slow one.

Callers of a hop are threads of one process; connections to the edge are those of a load generator
in one process, kept alive, each in a closed loop, which checks that every answer is the one that
was asked for. No two of them ask for the same user at the same time, so coalescing never answers
two of them by one read.

CPU time is that of all processes of the variant, and of stores that run on the machine; the calling
process of a lone hop counts, the load generator of the chain does not.

Bytes on the wire are TCP payload, taken in a pass of its own through a relay that counts.
"""
REPEAT = "make bench ARGS=--docs"

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; font-size: .85rem; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #ddd; text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.reached { color: #00724f; } .missed { color: #b3300b; } .withheld, .uncertain { color: #8a5a00; }
figure { margin: 1rem 0; overflow-x: auto; } svg { max-width: 100%; height: auto; }
code { background: #f3f3f3; padding: 0 .3em; }
"""


def write_report(results: Results, folder: Path, *, latencies: bool = True) -> Path:
    """Write `index.html`, `latest.json` and the plots into a folder; return the page's path.

    Without every latency the JSON is small enough to be committed.
    """
    headline = headline_of(results)
    folder.mkdir(parents=True, exist_ok=True)
    save(results.to_dict(headline, latencies=latencies), folder / "latest.json")
    made = plots(results, headline)
    for name, svg in made.items():
        (folder / name).write_text(svg)
    page = folder / "index.html"
    page.write_text(report_page(results, headline, made))
    return page


def report_page(
    results: Results, headline: Mapping[str, Mapping[str, Any]], made: Mapping[str, str]
) -> str:
    """Return the page, with its plots in it."""
    parts = [
        f"<h1>{TITLE}</h1>",
        _origin(results),
        "<h2>Headline</h2>",
        _headline(headline),
        _figure(made, "headline.svg"),
        "<h2>How it was measured</h2>",
        *_paragraphs(METHOD + LEFT_OUT),
        _table(("variant", "what it is"), VARIANTS.items()),
        _table(("operation", "what it is"), OPERATIONS.items()),
    ]
    for part, title in (("hop", "The hop alone"), ("chain", "The chain through the edge")):
        if any(cell.part == part for cell in results.cells()):
            parts += [f"<h2>{title}</h2>", _ratios(results, part)]
            parts += [
                _figure(made, f"{part}-{name}.svg")
                for name in ("ratios", "latency", "throughput", "cpu")
            ]
            parts += [_cells(results, part)]
    if results.wire:
        parts += ["<h2>Bytes on the wire, per call</h2>", _wire(results)]
    parts += ["<h2>Machine and versions</h2>", _facts(results)]
    body = "\n".join(part for part in parts if part)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{TITLE}</title>'
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _origin(results: Results) -> str:
    return (
        f"<p>Plan <code>{_text(results.plan)}</code>, seed {results.seed}, made {results.made}, "
        f"in {results.seconds / 60:.1f} minutes. Again: <code>{REPEAT}</code>.</p>"
    )


def _headline(headline: Mapping[str, Mapping[str, Any]]) -> str:
    words = verdicts(headline)
    rows = []
    for figure in FIGURES:
        told = headline[figure.name]
        sign = "\u2264" if figure.less_is_better else "\u2265"
        reason = told.get("withheld", "")
        rows.append(
            (
                figure.title,
                number(told["transport_only"]),
                number(told["as_shipped"]),
                f"{number(told['low'])} to {number(told['high'])}",
                f"{sign} {figure.bound:g}",
                f"{sign} {figure.aim:g}",
                words[figure.name] + (f" ({reason})" if reason else ""),
            )
        )
    head = ("figure", "transport only", "as shipped", "95 % interval", "asked", "aim", "")
    return _table(head, rows, class_of=lambda row: str(row[-1]).partition(" ")[0])


def _ratios(results: Results, part: str) -> str:
    rows: dict[tuple[str, str, int, str], dict[tuple[str, str], Comparison]] = {}
    for each in results.comparisons():
        if each.cell.part == part:
            key = (each.cell.store, each.cell.operation, each.cell.callers, each.over)
            rows.setdefault(key, {})[each.measure, each.column] = each
    wanted = [(measure, column) for measure in (THROUGHPUT, CPU) for column in _COLUMN_NAMES]
    return _table(
        (
            "stores",
            "operation",
            "at a time",
            "gRPC over",
            *(f"{measure}, {_COLUMN_NAMES[column]}" for measure, column in wanted),
        ),
        [(*key, *(ratio_text(found.get(each)) for each in wanted)) for key, found in rows.items()],
    )


# A figure, with its interval or without.
_NUMBER = re.compile(r"[\d.,]+( \(.*\)| \[.*\]| to .*)?")
_COLUMN_NAMES = {"transport_only": "transport only", "as_shipped": "as shipped"}


def _cells(results: Results, part: str) -> str:
    rows = [
        (
            cell.store,
            cell.operation,
            cell.callers,
            variant,
            *cell_row(results.samples[cell, variant]),
        )
        for cell in results.cells()
        if cell.part == part
        for variant in cell.variants
        if (cell, variant) in results.samples
    ]
    head = (
        "stores", "operation", "at a time", "variant", "calls/s", "p50 ms", "p95 ms", "p99 ms",
        "CPU s per 1,000", "of which",
    )  # fmt: skip
    return f"<details><summary>Every cell</summary>{_table(head, rows)}</details>"


def _wire(results: Results) -> str:
    return _table(
        ("between", "operation", "at a time", "variant", "up", "down"),
        [
            (each.hop, each.operation, each.callers, each.variant, f"{each.up:,.0f}",
             f"{each.down:,.0f}")
            for each in results.wire
        ],
    )  # fmt: skip


def _facts(results: Results) -> str:
    stores = {f"{kind} stores": "; ".join(notes) for kind, notes in results.stores.items()}
    facts = {**results.machine, **stores, **results.versions}
    return _table(("what", "which"), list(facts.items()))


def _figure(made: Mapping[str, str], name: str) -> str:
    if name not in made:
        return ""
    # What stands before the element is for files of their own.
    return f"<figure>{made[name][made[name].index('<svg') :]}</figure>"


def _paragraphs(text: str) -> list[str]:
    return [f"<p>{_text(each)}</p>" for each in text.strip().split("\n\n")]


def _table(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    class_of: Any = None,
) -> str:
    lines = ["<table><tr>", *(f"<th>{_text(name)}</th>" for name in head), "</tr>"]
    for row in rows:
        css = f' class="{class_of(row)}"' if class_of is not None else ""
        lines += [f"<tr{css}>", *map(_cell, row), "</tr>"]
    return "".join([*lines, "</table>"])


def _cell(value: object) -> str:
    text = str(value)
    numeric = text == "-" or _NUMBER.fullmatch(text) is not None
    return f"<td{' class=n' if numeric else ''}>{_text(text)}</td>"


def _text(value: object) -> str:
    return html.escape(str(value))
