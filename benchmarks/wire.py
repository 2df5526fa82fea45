"""Bytes on the wire per call, by relays that count, apart from everything that is timed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.plan import INPROC, MONOLITH_PLAIN, READS, Plan
from benchmarks.relay import CountingRelay
from benchmarks.results import Wire
from benchmarks.stores import Populated
from benchmarks.targets import chain_target, hop_target, load_worker

# As many as in the cells that the report compares.
HOP_CALLERS = 16
CHAIN_CONNECTIONS = 64
CHAIN_SECONDS = 0.7


class Relays:
    """A relay in front of each tier of a stack. Use as a context manager."""

    def __init__(self) -> None:
        self._opened = ExitStack()
        self._relays: dict[str, CountingRelay] = {}
        self._before: dict[str, tuple[int, int]] = {}

    def between(self, name: str, url: str) -> str:
        """Put a relay in front of a tier, and return its URL."""
        self._relays[name] = self._opened.enter_context(CountingRelay(url))
        return self._relays[name].url

    def begin(self) -> None:
        """Begin to count."""
        self._before = {name: relay.counts() for name, relay in self._relays.items()}

    def since(self) -> dict[str, tuple[int, int]]:
        """Return the bytes up and down in front of each tier since `begin`."""
        moved = {}
        for name, relay in self._relays.items():
            up, down = relay.counts()
            before_up, before_down = self._before[name]
            moved[name] = up - before_up, down - before_down
        return moved

    def __enter__(self) -> Relays:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def hop_bytes(plan: Plan, populated: Populated, folder: Path) -> Iterator[Wire]:
    """Yield the bytes of a lone hop, for each of its variants that has a wire."""
    each = -(-plan.wire_calls // HOP_CALLERS)
    for variant in plan.variants("hop", populated.kind):
        if variant == INPROC:
            continue
        with (
            Relays() as relays,
            hop_target(variant, populated, folder, between=relays.between) as target,
        ):
            for operation in plan.wire_operations:
                # Connections, and what is agreed upon once, belong to no call.
                target.calls(operation, HOP_CALLERS, 2)
                relays.begin()
                calls = target.calls(operation, HOP_CALLERS, each)
                ((up, down),) = relays.since().values()
                yield Wire(
                    "caller and repository",
                    operation,
                    variant,
                    HOP_CALLERS,
                    up / calls,
                    down / calls,
                )


def chain_bytes(plan: Plan, populated: Populated, folder: Path) -> Iterator[Wire]:
    """Yield the bytes of each hop of the chain, the edge's clients included."""
    for variant in plan.variants("chain", populated.kind):
        # Nothing of it but its client's hop is on a wire, and that is the monolith's.
        if variant == MONOLITH_PLAIN:
            continue
        with (
            Relays() as relays,
            load_worker(folder) as load,
            chain_target(variant, populated, folder, load, between=relays.between) as target,
        ):
            relays.begin()
            moved = target.calls(READS, CHAIN_CONNECTIONS, CHAIN_SECONDS)
            hops = {
                "client and edge": (moved["up"], moved["down"]),
                **{f"the hop to the {name} tier": each for name, each in relays.since().items()},
            }
            for hop, (up, down) in hops.items():
                yield Wire(
                    hop,
                    READS,
                    variant,
                    CHAIN_CONNECTIONS,
                    up / moved["calls"],
                    down / moved["calls"],
                )
