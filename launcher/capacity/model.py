"""The capacity model: offered load times measured cost is cores, cores are replicas.

Nothing here measures, reads or prints. Rates are per second, times in seconds, CPU in cores (CPU
seconds per second).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from launcher.capacity.costs import (
    CACHE,
    CONNECTION,
    CONTROLLER,
    DATABASE,
    REPOSITORY,
    SERVICE,
    TIERS,
    WORKER,
    Costs,
)

# Of a server's connections, what others need: migrations, backups, somebody who looks.
CONNECTIONS_FOR_OTHERS = 0.1
# Each process of the repository tier has one pool for reads and one for writes.
POOLS = 2
# While a tier is rolled out there is one replica more.
ROLLED_OUT = 1


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked.

    Attributes:
        rps: requests per second, as an average.
        mix: the operations' shares, which add up to 1.
        peak_factor: how many times the average the busiest moment is.
    """

    rps: float
    mix: Mapping[str, float]
    peak_factor: float = 1.0

    def rate(self, operation: str) -> float:
        """Return how often it is asked for at the busiest moment."""
        return self.rps * self.peak_factor * self.mix.get(operation, 0.0)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a replica is, and what the stores are.

    Attributes:
        utilisation: how much of its cores, threads and connections a process is meant to use.
        replicas_min: fewest replicas of each tier.
        cores_per_replica: each has a process, since one interpreter fills one core. A worker is one
            process whatever it may use: it hands jobs over and waits.
        threads: requests, RPCs or jobs that one process of each tier works on at a time.
        pool_size: connections of each of the two pools of a process of the repository tier.
        max_connections: of the database server.
        database_cores: of the database server.
    """

    utilisation: float
    replicas_min: int
    cores_per_replica: int
    threads: Mapping[str, int]
    pool_size: int
    max_connections: int
    database_cores: int

    def processes_per_replica(self, tier: str) -> int:
        """Return how many processes one replica of a tier has."""
        return 1 if tier == WORKER else self.cores_per_replica


@dataclass(frozen=True, slots=True)
class TierPlan:
    """What one tier needs.

    Attributes:
        cores: that it will use.
        held: how many of its threads are taken on average, in all processes together.
        sized_by: what decides about the number of replicas.
    """

    cores: float
    held: float
    replicas: int
    processes: int
    sized_by: str

    @property
    def held_per_process(self) -> float:
        """How many threads of one process are taken on average."""
        return self.held / self.processes


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load needs.

    Attributes:
        database_cores: that the database will use, at the utilisation that is aimed at.
        redis_cores: the same of Redis, which has one at most.
        connections: that all processes of the repository tier may open to the database.
        connections_held: of these, how many are taken on average.
        redis_connections: to Redis, of all tiers.
        jobs: that are made each second.
    """

    tiers: Mapping[str, TierPlan]
    database_cores: float
    redis_cores: float
    connections: int
    connections_held: float
    redis_connections: int
    statements: float
    transactions: float
    rpcs: Mapping[str, float]
    jobs: float


def plan_of(costs: Costs, load: Load, sizes: Sizes) -> Plan:
    """Work out what a load needs."""
    tiers: dict[str, TierPlan] = {}
    edge_processes = 0
    for tier in TIERS:
        # Every process of the edge asks the tiers behind it what changed, whether or not it has
        # anything to do.
        asked = edge_processes * costs.edge_process_cores.get(tier, 0.0)
        own_idle = costs.idle_cores.get(tier, 0.0) - costs.edge_process_cores.get(tier, 0.0)
        work = _cpu(costs, load, tier) + asked
        tiers[tier] = _tier(tier, work, max(own_idle, 0.0), _held(costs, load, sizes, tier), sizes)
        if tier == CONTROLLER:
            edge_processes = tiers[tier].processes
    repositories = tiers[REPOSITORY].processes

    def processes_at_most(tier: str) -> int:
        return tiers[tier].processes + ROLLED_OUT * sizes.processes_per_replica(tier)

    def store_cores(part: str) -> float:
        asked = costs.edge_process_cores.get(part, 0.0)
        own = max(costs.idle_cores.get(part, 0.0) - asked, 0.0)
        return _cpu(costs, load, part) + edge_processes * asked + repositories * own

    return Plan(
        tiers=tiers,
        database_cores=store_cores(DATABASE) / sizes.utilisation,
        redis_cores=store_cores(CACHE) / sizes.utilisation,
        connections=processes_at_most(REPOSITORY) * POOLS * sizes.pool_size,
        connections_held=_held(costs, load, sizes, CONNECTION),
        redis_connections=sum(
            processes_at_most(tier) * count for tier, count in costs.redis_connections.items()
        ),
        statements=_sum(load, {name: one.statements for name, one in costs.operations.items()}),
        transactions=_sum(load, {name: one.transactions for name, one in costs.operations.items()}),
        rpcs={
            tier: _sum(
                load, {name: one.rpcs.get(tier, 0.0) for name, one in costs.operations.items()}
            )
            for tier in (SERVICE, REPOSITORY)
        },
        jobs=_sum(load, {name: one.jobs for name, one in costs.operations.items()}),
    )


def usable_connections(max_connections: int) -> int:
    """Return how many of a server's connections the repository tier may open."""
    return math.floor(max_connections * (1 - CONNECTIONS_FOR_OTHERS))


def _tier(tier: str, work: float, idle: float, held: float, sizes: Sizes) -> TierPlan:
    # What a process uses for itself is not there for requests. One that uses all of it cannot be
    # made up for by more of its kind; a hundredth of a core keeps the answer finite.
    per_process = max(sizes.utilisation - idle, 0.01)
    by_cpu = work / per_process
    by_threads = held / (sizes.threads[tier] * sizes.utilisation)
    per_replica = sizes.processes_per_replica(tier)
    replicas = math.ceil(max(by_cpu, by_threads) / per_replica)
    if replicas < sizes.replicas_min:
        replicas, sized_by = sizes.replicas_min, "the fewest"
    else:
        sized_by = "CPU" if by_cpu >= by_threads else "threads"
    processes = replicas * per_replica
    return TierPlan(work + processes * idle, held, replicas, processes, sized_by)


def _cpu(costs: Costs, load: Load, part: str) -> float:
    used = {name: one.cpu_ms.get(part, 0.0) / 1000 for name, one in costs.operations.items()}
    return _sum(load, used)


def _held(costs: Costs, load: Load, sizes: Sizes, what: str) -> float:
    """Return how many are taken on average: Little's law, rate times time.

    The time was measured of requests that were alone. Of several that share a processor which is
    used to a degree u, each takes 1 / (1 - u) times as long (processor sharing).
    """
    alone = {name: one.held_ms.get(what, 0.0) / 1000 for name, one in costs.operations.items()}
    return _sum(load, alone) / (1 - sizes.utilisation)


def _sum(load: Load, of_one: Mapping[str, float]) -> float:
    return sum(load.rate(name) * amount for name, amount in of_one.items())


__all__ = [
    "WORKER",
    "Load",
    "Plan",
    "Sizes",
    "TierPlan",
    "plan_of",
    "usable_connections",
]
