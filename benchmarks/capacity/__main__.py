"""`python -m benchmarks.capacity`: what one request of each kind costs each tier and store.

The figures go to build/bench/capacity.json; `--docs` makes them those of `arcana capacity` and of
docs/benchmarks/ too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.capacity.run import CapacityPlan, run
from benchmarks.worker import ROOT, BenchmarkError
from launcher.capacity.costs import write_measured

BUILD = ROOT / "build" / "bench" / "capacity.json"
DOCS = ROOT / "docs" / "benchmarks" / "capacity.json"


def main(arguments: Sequence[str]) -> int:
    """Measure, show, and return 1 when something failed."""
    options = _options(arguments)
    console = Console()

    def say(text: str) -> None:
        console.print(text, markup=False)

    plan = CapacityPlan(store=options.store, mix=options.mix)
    try:
        with tempfile.TemporaryDirectory(prefix="arcana-capacity-") as folder:
            costs = run(plan, Path(folder), say)
    except BenchmarkError as error:
        console.print(f"No figures: {error}", style="red", markup=False)
        return 1
    BUILD.parent.mkdir(parents=True, exist_ok=True)
    files = [BUILD, DOCS, write_measured(costs)] if options.docs else [BUILD]
    for file in files:
        file.write_text(costs.to_json())
        say(f"The figures: {file}")
    check = costs.check
    say(
        f"The mixture: {check.predicted_rps:g} requests/s predicted, {check.measured_rps:g} "
        f"measured, {check.ratio:.2f} times as much predicted."
    )
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    usual = CapacityPlan()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("--store", choices=["embedded", "real"], default=usual.store)
    parser.add_argument("--mix", default=usual.mix, help="asked for to check the model")
    parser.add_argument("--docs", action="store_true", help="write what ships and docs/ too")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
