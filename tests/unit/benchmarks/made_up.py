"""Results of a run that never was, with figures that can be followed in the head."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from benchmarks.plan import (
    GET_BY_ID,
    GRPC,
    GRPC_PLAIN,
    LIST_50,
    MONOLITH,
    MONOLITH_PLAIN,
    READS,
    REST_FAIR,
    REST_NAIVE,
    Cell,
)
from benchmarks.results import Results, Wire
from benchmarks.samples import Sample

POINT = Cell("hop", "embedded", GET_BY_ID, 16, (GRPC, GRPC_PLAIN, REST_FAIR, REST_NAIVE))
LIST = Cell("hop", "embedded", LIST_50, 16, (GRPC, GRPC_PLAIN, REST_FAIR))
CHAIN_1 = Cell("chain", "embedded", READS, 1, (GRPC, MONOLITH))
CHAIN = Cell(
    "chain",
    "embedded",
    READS,
    64,
    (GRPC, GRPC_PLAIN, REST_FAIR, REST_NAIVE, MONOLITH, MONOLITH_PLAIN),
)

# Calls within a second, round by round.
COUNTS: Mapping[Cell, Mapping[str, Sequence[int]]] = {
    POINT: {
        GRPC: (400, 404, 396, 400, 400, 400),
        GRPC_PLAIN: (200,) * 6,
        REST_FAIR: (100,) * 6,
        REST_NAIVE: (50,) * 6,
    },
    # Its middle depends on any single round.
    LIST: {
        GRPC: (100, 100, 300, 300),
        GRPC_PLAIN: (100, 100, 100, 100),
        REST_FAIR: (100, 100, 100, 100),
    },
    CHAIN_1: {GRPC: (10, 10, 10), MONOLITH: (40, 40, 40)},
    CHAIN: {
        GRPC: (60, 60, 60),
        GRPC_PLAIN: (30, 30, 30),
        REST_FAIR: (20, 20, 20),
        REST_NAIVE: (5, 5, 5),
        MONOLITH: (80, 80, 80),
        MONOLITH_PLAIN: (60, 60, 60),
    },
}


def sample(count: int, variant: str) -> Sample:
    """Give a sample of so many calls, of which each tier took a millisecond of CPU time."""
    tiers = ["monolith"] if variant in (MONOLITH, MONOLITH_PLAIN) else ["repository", "service"]
    cpu = dict.fromkeys(tiers, count / 1000)
    return Sample(1.0, array("I", range(100, 100 + count)), {**cpu, "load": 5.0})


def results() -> Results:
    """Give the results."""
    made = Results("made up", 7, made="2026-11-21T10:00:00+00:00", seconds=60.0)
    made.machine = {"processor": "an <abacus>", "cores": 2}
    made.versions = {"Python": "3.11"}
    made.stores = {"embedded": ["a file"]}
    made.wire = [Wire("caller and repository", GET_BY_ID, GRPC, 16, 120.4, 300.0)]
    for cell, variants in COUNTS.items():
        for variant, counts in variants.items():
            for count in counts:
                made.add(cell, variant, sample(count, variant))
    return made
