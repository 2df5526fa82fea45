"""What a setting gives: one variant with it over the same variant without, in turns.

    python -m benchmarks.tuning SERVICE_THREADS=4 SERVICE_THREADS=8,REPOSITORY_THREADS=8
    python -m benchmarks.tuning REPOSITORY_THREADS=4 --operation "list 50" --callers 16

Each word is one attempt: settings with commas between them. In each round the default and every
attempt have one turn in random order, on copies of the same embedded store; all others sleep. Each
line gives the medians, and the ratio of throughput over the default as the benchmark gives its own.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.options import add_cell_options, parse_cell
from benchmarks.plan import Block, Cell, part_of
from benchmarks.ratios import paired_ratio
from benchmarks.results import total_cpu
from benchmarks.samples import Sample
from benchmarks.stores import populated
from benchmarks.table import ConsoleProgress
from benchmarks.targets import in_random_order, open_target
from benchmarks.worker import BenchmarkError

DEFAULT = "default"
WARM_SECONDS = 0.3
MIN_WIDTH = 150


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks for and return the exit code."""
    options = _options(arguments)
    attempts: dict[str, Mapping[str, str]] = {DEFAULT: {}, **dict(options.attempts)}
    part = part_of(options.operation)
    cell = Cell(part, "embedded", options.operation, options.callers, tuple(attempts))
    block = Block((cell,), options.rounds, WARM_SECONDS, options.seconds)
    samples: dict[str, list[Sample]] = {attempt: [] for attempt in attempts}
    console = Console()
    # Attempts have long names.
    console = Console(width=max(console.width, MIN_WIDTH))
    try:
        with (
            tempfile.TemporaryDirectory(prefix="arcana-tuning-") as name,
            ConsoleProgress(console, block.turns) as progress,
            ExitStack() as opened,
        ):
            folder = Path(name)
            store = opened.enter_context(populated("embedded", options.people, folder / "store"))
            targets = {
                attempt: opened.enter_context(
                    open_target(part, options.variant, store, folder / str(number), told)
                )
                for number, (attempt, told) in enumerate(attempts.items())
            }
            dice = random.Random(options.variant)  # noqa: S311 - an order, no secret.
            for number, _, attempt in in_random_order(block, dice):
                sample = targets[attempt].turn(cell, block, number)
                samples[attempt].append(sample)
                progress.turn(f"{attempt}: {sample.throughput:,.0f}/s")
    except BenchmarkError as error:
        console.print(f"No results: {error}", style="red", markup=False)
        return 1
    title = f"{options.variant}, {options.operation}, {options.callers} at a time"
    console.print(comparison(title, samples))
    return 0


def comparison(title: str, samples: Mapping[str, Sequence[Sample]]) -> Table:
    """Return a row for each attempt: the medians of its rounds, and its ratio over the default."""
    table = Table(title=title, title_justify="left")
    table.add_column("settings")
    for name in ("calls/s", "CPU s per 1,000", "throughput over the default (95 %)"):
        table.add_column(name, justify="right")
    without = [sample.throughput for sample in samples[DEFAULT]]
    for attempt, rounds in samples.items():
        with_it = [sample.throughput for sample in rounds]
        ratio = paired_ratio(with_it, without)
        doubt = ratio.withheld or f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
        table.add_row(
            attempt,
            f"{statistics.median(with_it):,.0f}",
            f"{statistics.median(map(total_cpu, rounds)):.3f}",
            "" if attempt == DEFAULT else doubt,
        )
    return table


def settings_of(word: str) -> tuple[str, dict[str, str]]:
    """Return an attempt's name and the settings that it names, `NAME=VALUE,NAME=VALUE`.

    Raises:
        argparse.ArgumentTypeError: a part of it is no setting.
    """
    told = {}
    for each in word.split(","):
        name, is_one, value = each.partition("=")
        if not (name and is_one):
            raise argparse.ArgumentTypeError(f"{each!r} is not NAME=VALUE")
        told[name] = value
    return word, told


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=__doc__)
    parser.add_argument("attempts", nargs="+", type=settings_of, metavar="NAME=VALUE[,…]")
    add_cell_options(parser, people=640)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.7)
    return parse_cell(parser, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
