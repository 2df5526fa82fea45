"""`python -m benchmarks.scale`: does a shop of 100,000 rows answer as one of 1,000 does?

The figures go to build/bench/scale.json; `--docs` also writes those that are committed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.scale.results import TARGET
from benchmarks.scale.run import ScalePlan, run
from benchmarks.worker import ROOT, BenchmarkError

BUILD = ROOT / "build" / "bench" / "scale.json"
DOCS = ROOT / "docs" / "benchmarks" / "scale.json"


def main(arguments: Sequence[str]) -> int:
    """Measure, show, and return 1 when something failed or is above the target."""
    options = _options(arguments)
    console = Console()
    try:
        with tempfile.TemporaryDirectory(prefix="arcana-scale-") as folder:
            results = run(ScalePlan(rounds=options.rounds), Path(folder), console.print)
    except BenchmarkError as error:
        console.print(f"No results: {error}", style="red", markup=False)
        return 1
    print_to = [BUILD, DOCS] if options.docs else [BUILD]
    for file in print_to:
        results.write(file)
        console.print(f"The figures: {file}", markup=False)
    console.print(results.table(), markup=False, soft_wrap=True)
    missed = [name for name, each in results.operations.items() if not each.is_within_target]
    if missed:
        console.print(f"Above {TARGET:g}: {', '.join(missed)}", style="red", markup=False)
    return 1 if missed else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ScalePlan().rounds, help="of both shops")
    parser.add_argument("--docs", action="store_true", help="write docs/benchmarks/ too")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
