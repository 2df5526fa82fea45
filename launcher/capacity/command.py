"""`arcana capacity`: from words on the command line to a plan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from launcher.capacity.costs import CONTROLLER, REPOSITORY, SERVICE, WORKER, Costs
from launcher.capacity.limits import reached_first
from launcher.capacity.mix import parse_mix
from launcher.capacity.model import Load, Sizes, plan_of
from launcher.capacity.report import as_json, as_text
from tier_runtime.startup import StartupError

# What the server itself has where nobody says otherwise.
MYSQL_CONNECTIONS = 151
DATABASE_CORES = 16
REPOSITORY_THREADS_ON_A_SERVER = 16

# The threads of one process by default; a test holds them to the settings' own defaults.
THREADS: Mapping[str, int] = MappingProxyType(
    {CONTROLLER: 16, SERVICE: 16, REPOSITORY: REPOSITORY_THREADS_ON_A_SERVER, WORKER: 4}
)
POOL_SIZE = 16


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for on the command line, unchecked."""

    rps: float
    mix: str
    peak_factor: float
    utilisation: float
    replicas_min: int
    cores_per_replica: int
    pool_size: int
    max_connections: int
    database_cores: int

    def faults(self) -> list[str]:
        """Say what cannot be meant."""
        rules = {
            f"--rps is {self.rps:g}, and must be a number above 0.": _is_above(self.rps, 0),
            f"--peak-factor is {self.peak_factor:g}, and must be 1 or more.": (
                _is_above(self.peak_factor, 1, or_equal=True)
            ),
            f"--utilisation is {self.utilisation:g}, and must be between 0.05 and 0.95.": (
                0.05 <= self.utilisation <= 0.95
            ),
            "--replicas-min must be 1 or more.": self.replicas_min >= 1,
            "--cores-per-replica must be 1 or more.": self.cores_per_replica >= 1,
            f"--pool-size is {self.pool_size}, and must be from 1 to 256.": (
                1 <= self.pool_size <= 256
            ),
            "--max-connections must be 1 or more.": self.max_connections >= 1,
            "--database-cores must be 1 or more.": self.database_cores >= 1,
        }
        return [text for text, holds in rules.items() if not holds]


def plan_text(costs: Costs, wish: Wish, *, as_document: bool) -> str:
    """Return what a load needs, and which limits stand in its way.

    Args:
        costs: what requests were measured to cost.
        wish: what is asked for.
        as_document: as JSON.

    Raises:
        StartupError: the wish cannot be meant; with all its faults.
    """
    faults = wish.faults()
    mix: dict[str, float] = {}
    try:
        mix = parse_mix(wish.mix, costs.operations)
    except StartupError as error:
        faults += str(error).splitlines()
    if faults:
        raise StartupError("\n".join(faults))
    load = Load(wish.rps, mix, wish.peak_factor)
    sizes = Sizes(
        utilisation=wish.utilisation,
        replicas_min=wish.replicas_min,
        cores_per_replica=wish.cores_per_replica,
        # A pool that is smaller than its tier's threads is refused by that tier: both are meant.
        threads={**THREADS, REPOSITORY: min(THREADS[REPOSITORY], wish.pool_size)},
        pool_size=wish.pool_size,
        max_connections=wish.max_connections,
        database_cores=wish.database_cores,
    )
    plan = plan_of(costs, load, sizes)
    reached = reached_first(costs, load, sizes)
    write = as_json if as_document else as_text
    return write(costs, load, sizes, plan, reached)


def _is_above(number: float, least: float, *, or_equal: bool = False) -> bool:
    return math.isfinite(number) and (number > least or (or_equal and number == least))
