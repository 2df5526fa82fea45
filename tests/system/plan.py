"""The processes of one running system, with the addresses that they are told before they start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from launcher.settings import WORKER_PORT_STEP, Protocol
from tests.system.ports import free_ports
from tests.system.wiring import Wiring

# The worker is no tier, but a process like those of the tiers.
Tier: TypeAlias = Literal["controller", "service", "repository", "worker"]


@dataclass(frozen=True, slots=True)
class Part:
    """One process, with those it forks.

    Attributes:
        tier: which tier its command runs.
        settings: what only it is told.
        urls: where its health is asked, each of its workers' own.
    """

    name: str
    tier: Tier
    settings: Mapping[str, str]
    urls: tuple[str, ...]

    @property
    def url(self) -> str:
        """The one URL by which others call it."""
        scheme, _, first = self.urls[0].partition("://")
        others = (url.removeprefix(f"{scheme}://") for url in self.urls[1:])
        return f"{scheme}://{','.join([first, *others])}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs, and what all of it is told.

    Attributes:
        parts: in the order in which they start; the worker is last, and only if a test wants it.
        service_url: where admin commands reach the service tier, which the monolith has too.
    """

    parts: tuple[Part, ...]
    environ: Mapping[str, str]
    edge_url: str
    grpc_edge_url: str
    service_url: str
    repository_url: str


def make_plan(wiring: Wiring, workers: int, repository_workers: int) -> Plan:
    """Plan a system on free ports of this machine."""
    edge, grpc_edge = f"127.0.0.1:{free_ports()}", f"127.0.0.1:{free_ports()}"
    repository = _inner("repository", "repository", wiring.protocol, repository_workers)
    services = [
        _inner(name, "service", wiring.protocol, workers, SERVICES=",".join(names))
        for name, names in wiring.services.items()
    ]
    # The monolith's port for admin commands is always gRPC's.
    first = services[0] if services else _inner("service", "service", "grpc", 1)
    called = next((part for part in services if part.name == "users"), first)
    jobs = next((part for part in services if part.name == "jobs"), first)
    controller = Part("controller", "controller", {}, (f"http://{edge}",))
    worker = Part("worker", "worker", {"SERVICE_URL": jobs.url}, ())
    inner = (repository, *services) if services else ()
    return Plan(
        parts=(*inner, controller, worker),
        environ={
            "DEPLOYMENT_MODE": wiring.mode,
            "COMMUNICATION_PROTOCOL": wiring.protocol,
            "CONTROLLER_BIND": edge,
            "PUBLIC_GRPC_BIND": grpc_edge,
            "SERVICE_BIND": first.settings["SERVICE_BIND"],
            "REPOSITORY_BIND": repository.settings["REPOSITORY_BIND"],
            "REPOSITORY_URL": repository.url,
        },
        edge_url=f"http://{edge}",
        grpc_edge_url=f"grpc://{grpc_edge}",
        service_url=called.url,
        repository_url=repository.url,
    )


def _inner(name: str, tier: Tier, protocol: Protocol, workers: int, **settings: str) -> Part:
    """Plan an inner tier: over gRPC its workers have an address each, over HTTP one together."""
    offsets = [WORKER_PORT_STEP * number for number in range(workers if protocol == "grpc" else 1)]
    port = free_ports(offsets)
    addresses = [f"127.0.0.1:{port + offset}" for offset in offsets]
    told = {f"{tier.upper()}_BIND": addresses[0], "WORKERS": str(workers), **settings}
    return Part(name, tier, told, tuple(f"{protocol}://{address}" for address in addresses))
