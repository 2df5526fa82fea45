"""`python -m benchmarks`: measure, show, and write the report.

The report goes to build/bench/; `--docs` also writes the one that is committed, docs/benchmarks/.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.headline import headline_of
from benchmarks.plan import FULL, PLANS, QUICK
from benchmarks.report import write_report
from benchmarks.results import read
from benchmarks.run import run
from benchmarks.table import ConsoleProgress, show
from benchmarks.worker import ROOT, BenchmarkError

BUILD = ROOT / "build" / "bench"
MIN_WIDTH = 110
DOCS = ROOT / "docs" / "benchmarks"


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks for and return the exit code."""
    options = _options(arguments)
    console = Console()
    # Tables that are folded can hardly be read; a log has room to the right.
    console = Console(width=max(console.width, MIN_WIDTH))
    if options.again:
        results = read(options.again)
    else:
        plan = PLANS[options.plan]
        console.print(f"plan {plan.name}: {plan.seconds / 60:.1f} minutes of turns")
        turns = sum(block.turns for block in plan.blocks)
        try:
            with (
                tempfile.TemporaryDirectory(prefix="arcana-bench-") as folder,
                ConsoleProgress(console, turns) as progress,
            ):
                results = run(plan, Path(folder), progress)
        except BenchmarkError as error:
            console.print(f"No results: {error}", style="red", markup=False)
            return 1
    show(console, results, headline_of(results))
    console.print(f"The report: {write_report(results, options.to)}", markup=False)
    if options.docs:
        console.print(f"To commit: {write_report(results, DOCS, latencies=False)}", markup=False)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", dest="plan", action="store_const", const=QUICK.name, default=FULL.name,
        help="about 90 seconds: only what the headline is made of",
    )  # fmt: skip
    parser.add_argument("--docs", action="store_true", help="write docs/benchmarks/ too")
    parser.add_argument("--to", type=Path, default=BUILD, help="where the report goes")
    parser.add_argument(
        "--again", type=Path, metavar="JSON", help="measure nothing: report on this latest.json"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
