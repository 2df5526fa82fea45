"""What a plan says, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from launcher.capacity.costs import CONTROLLER, REPOSITORY, SERVICE, WORKER, Costs
from launcher.capacity.limits import Limit, Reached
from launcher.capacity.model import ROLLED_OUT, Load, Plan, Sizes, usable_connections

# What says how many threads, and how many processes, one replica of a tier has.
THREAD_SETTINGS: Mapping[str, str] = {
    CONTROLLER: "WEB_THREADS",
    SERVICE: "SERVICE_THREADS",
    REPOSITORY: "REPOSITORY_THREADS",
    WORKER: "WORKER_CONCURRENCY",
}


def as_text(
    costs: Costs,
    load: Load,
    sizes: Sizes,
    plan: Plan,
    reached: Sequence[Reached],
) -> str:
    """Return what a plan says in lines for an operator."""
    shares = ", ".join(f"{name} {share:.1%}" for name, share in load.mix.items())
    lines = [
        f"{load.rps:,.0f} requests/s, {load.rps * load.peak_factor:,.0f} at the peak: {shares}",
        (
            f"Each process uses {sizes.utilisation:.0%} of what it has; "
            f"a replica has {sizes.cores_per_replica} cores, and a process for each; "
            "a worker is one."
        ),
        "",
        (
            f"{'tier':<11} {'replicas':>8} {'processes':>9} {'cores used':>10} "
            f"{'threads taken of each process':>30}  sized by"
        ),
        *(_row(tier, plan, sizes) for tier in plan.tiers),
        "",
        *_stores(plan, sizes),
        "",
        *_binding(reached, load),
        "",
        *_sources(costs),
    ]
    return "\n".join(lines)


def as_json(costs: Costs, load: Load, sizes: Sizes, plan: Plan, reached: Sequence[Reached]) -> str:
    """Return the same as JSON."""
    return json.dumps(
        {
            "load": asdict(load),
            "sizes": asdict(sizes),
            "plan": asdict(plan),
            "limits": [
                {
                    "name": each.limit.name,
                    "needed": round(each.limit.needed, 3),
                    "available": each.limit.available,
                    "is_exceeded": each.limit.is_exceeded,
                    "reached_at_rps": round(each.rps, 1),
                    "dearest": each.dearest,
                    "dearest_share": round(each.share, 4),
                }
                for each in reached
            ],
            "measured": {
                "made": costs.made,
                "machine": dict(costs.machine),
                "versions": dict(costs.versions),
                "stores": list(costs.stores),
            },
        },
        indent=1,
    )


def exceeded(reached: Sequence[Reached]) -> Sequence[Limit]:
    """Return the limits that the load needs more of than there is."""
    return [each.limit for each in reached if each.limit.is_exceeded]


def _row(tier: str, plan: Plan, sizes: Sizes) -> str:
    one = plan.tiers[tier]
    taken = f"{one.held_per_process:.1f} of {sizes.threads[tier]} ({THREAD_SETTINGS[tier]})"
    return (
        f"{tier:<11} {one.replicas:>8,} {one.processes:>9,} {one.cores:>10.1f} "
        f"{taken:>30}  {one.sized_by}"
    )


def _stores(plan: Plan, sizes: Sizes) -> list[str]:
    rolled_out = ROLLED_OUT * sizes.processes_per_replica(REPOSITORY)
    processes = plan.tiers[REPOSITORY].processes + rolled_out
    usable = usable_connections(sizes.max_connections)
    asked, calls = plan.connections, plan.rpcs
    return [
        f"MySQL: {asked:,} connections at most, about {plan.connections_held:,.0f} of them busy.",
        f"       {processes:,} processes of the repository tier, one replica more than above while",
        f"       it is rolled out, have two pools of DATABASE_POOL_SIZE={sizes.pool_size} each.",
        f"       max_connections={sizes.max_connections:,} leaves {usable:,} for them.",
        f"       {plan.database_cores:.1f} cores.",
        f"       {plan.statements:,.0f} statements/s, {plan.transactions:,.0f} transactions/s.",
        f"Redis: {plan.redis_connections:,} connections, {plan.redis_cores:.2f} of its one core.",
        f"Calls: {calls[SERVICE]:,.0f}/s of the service tier, {calls[REPOSITORY]:,.0f}/s below.",
        f"Jobs:  {plan.jobs:,.0f}/s.",
    ]


def _binding(reached: Sequence[Reached], load: Load) -> list[str]:
    lines = ["What replicas do not help, the first that is reached first:"]
    for each in reached:
        limit = each.limit
        word = "TOO LITTLE" if limit.is_exceeded else "enough"
        lines.append(
            f"- {limit.name}: needs {limit.needed:,.1f}, has {limit.available:,.0f}, {word}; "
            f"{_reached(each.rps)}. "
            f"{each.share:.0%} of what requests cost there is {each.dearest}. "
            f"Then: {limit.remedy}."
        )
    if not exceeded(reached):
        lines.append(f"None of them stands in the way of {load.rps:,.0f} requests/s.")
    return lines


def _reached(rps: float) -> str:
    if not rps:
        return "the fewest replicas need more than there is"
    return f"reached at {rps:,.0f} requests/s of this mix"


def _sources(costs: Costs) -> list[str]:
    machine, check = costs.machine, costs.check
    return [
        f"Measured on {costs.made[:10]} on {machine['cores']} cores of {machine['processor']}:",
        *(f"  {each}" for each in (costs.versions["Python"], *costs.stores)),
        f"There the model said {check.ratio:.2f} times what a mixture's throughput then was.",
        "`make bench-capacity ARGS=--docs` measures on yours.",
    ]
