"""What was measured, as a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from launcher.capacity.command import Wish, plan_text
from launcher.capacity.costs import (
    CONNECTION,
    CONTROLLER,
    PARTS,
    REPOSITORY,
    SERVICE,
    WORKER,
    Costs,
)

# The load that the page plans, as `arcana capacity --rps 10000` does.
EXAMPLE = "arcana capacity --rps 10000 --max-connections 4000 --database-cores 64"


def page(costs: Costs, mix: str) -> str:
    """Return the page in Markdown.

    Args:
        costs: what was measured.
        mix: what `arcana capacity` assumes where nothing is said.
    """
    return "\n".join([*_lines(costs, mix), ""])


def _lines(costs: Costs, mix: str) -> Iterator[str]:
    machine, check = costs.machine, costs.check
    yield "# What a request costs"
    yield ""
    yield f"Measured on {costs.made[:10]} by `make bench-capacity ARGS=--docs`, in"
    yield f"{costs.seconds:.0f} s, on {machine['cores']} cores of {machine['processor']},"
    yield f"{costs.versions['Python']}, load average before the run"
    yield f"{machine['load_average_before'][0]:g}; gRPC hops, one process of each tier. Stores:"
    yield ""
    yield from (f"- {store}" for store in costs.stores)
    yield ""
    yield "CPU time of one request, in milliseconds, with the jobs and events that it sets off, but"
    yield "without what is used while nobody asks; by so many callers at a time:"
    yield ""
    yield from _table(
        ("request", "callers", *PARTS),
        (
            (name, str(one.callers), *(f"{one.cpu_ms.get(part, 0.0):.2f}" for part in PARTS))
            for name, one in costs.operations.items()
        ),
    )
    yield ""
    yield "Calls, SQL and jobs of one request under the same load; concurrent reads share calls:"
    yield ""
    yield from _table(
        ("request", "what", "RPCs to service", "to repository", "statements", "commits", "jobs"),
        (
            (
                name,
                one.about,
                f"{one.rpcs[SERVICE]:.2f}",
                f"{one.rpcs[REPOSITORY]:.2f}",
                f"{one.statements:.1f}",
                f"{one.transactions:.1f}",
                f"{one.jobs:.0f}",
            )
            for name, one in costs.operations.items()
        ),
    )
    yield ""
    yield "How long one request by itself keeps a thread of each tier, a place of the worker and a"
    yield "connection to the database, in milliseconds, jobs and events included, in the"
    yield "quickest of some rounds. Whatever else the machine does lengthens these most:"
    yield ""
    held = (CONTROLLER, SERVICE, REPOSITORY, WORKER, CONNECTION)
    yield from _table(
        ("request", *held),
        (
            (name, *(f"{one.held_ms.get(each, 0.0):.2f}" for each in held))
            for name, one in costs.operations.items()
        ),
    )
    yield ""
    yield "What is used while nobody asks, in thousandths of a core, and how much of that one"
    yield "process of the edge causes by asking what changed:"
    yield ""
    yield from _table(
        ("", *PARTS),
        (
            ("in all", *_thousandths(costs.idle_cores)),
            ("because of one process of the edge", *_thousandths(costs.edge_process_cores)),
        ),
    )
    yield ""
    yield "## The model against the machine"
    yield ""
    shares = ", ".join(f"{name} {share:.1%}" for name, share in check.mix.items())
    yield f"A mixture ({shares}), as fast as it went for {check.seconds:g} s, with the load"
    yield f"generator on the same cores, of which {check.free_cores:g} were free, and"
    yield f"{check.used_cores:g} were used:"
    yield f"{check.measured_rps:g} requests/s measured, {check.predicted_rps:g} predicted from the"
    yield f"costs above. Predicted over measured: **{check.ratio:.2f}**. The jobs were done"
    yield f"{check.drain_seconds:g} s after the last answer."
    yield ""
    yield "## An example"
    yield ""
    yield f"`{EXAMPLE}` says, with these costs:"
    yield ""
    yield "```"
    yield plan_text(costs, _example(mix), as_document=False)
    yield "```"


def _example(mix: str) -> Wish:
    return Wish(
        rps=10_000.0,
        mix=mix,
        peak_factor=1.0,
        utilisation=0.6,
        replicas_min=2,
        cores_per_replica=2,
        pool_size=16,
        max_connections=4000,
        database_cores=64,
    )


def _table(
    head: tuple[str, ...], rows: Iterator[tuple[str, ...]] | tuple[tuple[str, ...], ...]
) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _thousandths(cores: Mapping[str, float]) -> list[str]:
    return [f"{1000 * cores[part]:.0f}" if part in cores else "" for part in PARTS]
