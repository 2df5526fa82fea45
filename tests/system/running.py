"""What tests of the edge ask of a system that runs, whoever has started it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from tests.stores import Stores
from tests.system.composed import Composed
from tests.system.credentials import Credentials
from tests.system.plan import Tier
from tests.system.processes import ArcanaProcesses
from tests.system.wiring import Place, Wiring


class RunningSystem(Protocol):
    """All tiers, as processes of the tests or in containers."""

    @property
    def wiring(self) -> Wiring: ...

    @property
    def edge_url(self) -> str: ...

    @property
    def unproxied_edge_url(self) -> str:
        """Where a client is the peer of the edge's own sockets."""
        ...

    @property
    def grpc_edge_url(self) -> str: ...

    @property
    def admin(self) -> Credentials: ...

    def pid(self, tier: Tier) -> int: ...

    def logs(self, tier: Tier) -> str: ...

    def log_lines(self, tier: Tier) -> list[dict[str, object]]: ...


def system_at(place: Place, stores: Stores, home: Path) -> AbstractContextManager[RunningSystem]:
    """Give the system of a place: the one in containers, or processes of the test's own."""
    if place.wiring.is_composed:
        return Composed(place.wiring)
    return ArcanaProcesses(home, stores.new_store(place.kind), wiring=place.wiring)
