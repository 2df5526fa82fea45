"""What does not grow by replicas, and which of it is reached first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from launcher.capacity.costs import CACHE, DATABASE, REPOSITORY, Costs
from launcher.capacity.model import Load, Plan, Sizes, plan_of, usable_connections

# Beyond this nobody asks, and halving goes on until it does not matter any more.
MOST_RPS = 1e9
HALVINGS = 60


@dataclass(frozen=True, slots=True)
class Limit:
    """One thing of which there is so much and no more.

    Attributes:
        part: whose cost it is, by which the dearest operation is found.
        remedy: what may be done about it.
    """

    name: str
    part: str
    needed: float
    available: float
    remedy: str

    @property
    def is_exceeded(self) -> bool:
        """True when the load needs more than there is."""
        return self.needed > self.available


@dataclass(frozen=True, slots=True)
class Reached:
    """A limit, and the load at which it is reached with the same mix.

    Attributes:
        rps: average requests per second; 0 when even the fewest replicas need more than there is.
        dearest: the operation that needs most of it, given how often it is asked for.
        share: how much of all requests' cost that operation's is.
    """

    limit: Limit
    rps: float
    dearest: str
    share: float


def limits_of(plan: Plan, sizes: Sizes) -> Sequence[Limit]:
    """Return what a plan needs of each thing that is shared."""
    return (
        Limit(
            "connections of the database",
            REPOSITORY,
            plan.connections,
            usable_connections(sizes.max_connections),
            "raise max_connections, lower DATABASE_POOL_SIZE and REPOSITORY_THREADS, or put a "
            "proxy that shares connections in between",
        ),
        Limit(
            "cores of the database",
            DATABASE,
            plan.database_cores,
            sizes.database_cores,
            "a larger server; then reads from replicas, then more than one MySQL",
        ),
        Limit(
            "the one core that Redis works on",
            CACHE,
            plan.redis_cores,
            1.0,
            "a Redis of its own for jobs and events, or Redis Cluster",
        ),
    )


def reached_first(costs: Costs, load: Load, sizes: Sizes) -> Sequence[Reached]:
    """Return the limits with the loads at which they are reached, the first one first."""
    count = len(limits_of(plan_of(costs, load, sizes), sizes))
    found = [_reached(costs, load, sizes, number) for number in range(count)]
    return sorted(found, key=lambda each: each.rps)


def _reached(costs: Costs, load: Load, sizes: Sizes, number: int) -> Reached:
    def limit_at(rps: float) -> Limit:
        return limits_of(plan_of(costs, replace(load, rps=rps), sizes), sizes)[number]

    limit = limit_at(load.rps)
    dearest, share = _dearest(costs, load, limit.part)
    return Reached(limit, _largest(lambda rps: not limit_at(rps).is_exceeded), dearest, share)


def _largest(is_possible: Callable[[float], bool]) -> float:
    """Return the largest load that is possible; what a larger one needs is never less."""
    low, high = 0.0, MOST_RPS
    if not is_possible(low):
        return low
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if is_possible(middle):
            low = middle
        else:
            high = middle
    return low


def _dearest(costs: Costs, load: Load, part: str) -> tuple[str, float]:
    used = {
        name: load.rate(name) * one.cpu_ms.get(part, 0.0) for name, one in costs.operations.items()
    }
    total = sum(used.values())
    name = max(used, key=used.__getitem__)
    return name, used[name] / total if total else 0.0
