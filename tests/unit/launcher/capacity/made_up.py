"""Costs that nobody has measured, in round numbers."""

from __future__ import annotations

from launcher.capacity.costs import (
    CACHE,
    CONNECTION,
    CONTROLLER,
    DATABASE,
    REPOSITORY,
    SERVICE,
    WORKER,
    Check,
    Costs,
    OperationCost,
)
from launcher.capacity.model import Load, Sizes

READ = OperationCost(
    about="a read",
    requests=100,
    callers=4,
    cpu_ms={CONTROLLER: 2.0, SERVICE: 1.0, REPOSITORY: 1.0, DATABASE: 0.1, CACHE: 0.05},
    held_ms={CONTROLLER: 5.0, SERVICE: 3.0, REPOSITORY: 2.0, CONNECTION: 1.0},
    rpcs={SERVICE: 1.0, REPOSITORY: 1.0},
    statements=1.0,
    transactions=0.0,
    jobs=0.0,
)
WRITE = OperationCost(
    about="a write",
    requests=100,
    callers=4,
    cpu_ms={
        CONTROLLER: 3.0,
        SERVICE: 4.0,
        REPOSITORY: 10.0,
        WORKER: 2.0,
        DATABASE: 5.0,
        CACHE: 1.0,
    },
    held_ms={CONTROLLER: 40.0, SERVICE: 35.0, REPOSITORY: 30.0, WORKER: 50.0, CONNECTION: 20.0},
    rpcs={SERVICE: 2.0, REPOSITORY: 5.0},
    statements=20.0,
    transactions=4.0,
    jobs=1.0,
)
COSTS = Costs(
    made="2026-11-30T12:00:00+00:00",
    seconds=100.0,
    machine={"cores": 2, "processor": "An Abacus"},
    versions={"Python": "CPython 3.14"},
    stores=("MySQL", "Redis"),
    settings={},
    idle_cores={CONTROLLER: 0.02, SERVICE: 0.03, REPOSITORY: 0.05, DATABASE: 0.02, CACHE: 0.01},
    edge_process_cores={SERVICE: 0.01, REPOSITORY: 0.01, DATABASE: 0.005, CACHE: 0.0},
    redis_connections={REPOSITORY: 6, WORKER: 4},
    operations={"read": READ, "write": WRITE},
    check=Check({"read": 1.0}, 10.0, 2.0, 1.9, 0.0, 240.0, 200.0),
)
SIZES = Sizes(
    utilisation=0.5,
    replicas_min=2,
    cores_per_replica=2,
    threads={CONTROLLER: 16, SERVICE: 16, REPOSITORY: 16, WORKER: 4},
    pool_size=16,
    max_connections=1000,
    database_cores=16,
)


def load(rps: float, write: float = 0.1, peak_factor: float = 1.0) -> Load:
    return Load(rps, {"read": 1 - write, "write": write}, peak_factor)
