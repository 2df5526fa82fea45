"""The options of tools that load one operation of one variant: which, by how many, on how much."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.plan import GRPC, OPERATIONS, READS, VARIANTS, part_of, variants_of


def add_cell_options(parser: argparse.ArgumentParser, people: int) -> None:
    """Add what names one cell of the benchmark, and how many users are in the store."""
    parser.add_argument("--variant", choices=VARIANTS, default=GRPC)
    parser.add_argument("--operation", choices=OPERATIONS, default=READS)
    parser.add_argument("--callers", type=int, default=64, help="connections, where it is a chain")
    parser.add_argument("--people", type=int, default=people)


def parse_cell(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options; ends the process with a message where they name no cell there is."""
    options = parser.parse_args(arguments)
    if options.variant not in (known := variants_of(part_of(options.operation))):
        parser.error(f"{options.operation} is measured over: {', '.join(known)}")
    return options
