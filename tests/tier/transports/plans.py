"""What a tier of the suite is made of and how it is served, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from tier_runtime.inproc import LocalServer
from tier_runtime.server import GrpcServerSettings
from tier_runtime.tier import Protocol, Serving, Tier
from tier_runtime.tls.admission import ServerTls
from tier_runtime.tls.files import TlsFiles

InProcess = Mapping[str, LocalServer]

# By module and function: a process of the probe starts sooner without what the others import.
_MAKERS = {
    "probe": ("tests.tier.transports.probe_servicer", "make_probe"),
    "repository": ("tests.tier.transports.real_tiers", "make_repository"),
    "neighbour": ("tests.tier.scaling.edge_neighbour", "make_neighbour"),
    "service": ("tests.tier.transports.real_tiers", "make_service"),
}


def numbered_id(number: int, family: int = 0) -> str:
    """Return the id of this number, of as many families as a test needs."""
    return f"019aa000-0000-7000-8000-{family:04x}{number:08x}"


@dataclass(frozen=True, slots=True)
class TierPlan:
    """A tier to be made, in this process or, told as JSON, in another."""

    kind: Literal["probe", "repository", "service", "neighbour"]
    # Of no meaning in this process.
    protocol: Protocol = "grpc"
    workers: int = 1
    # Of GrpcServerSettings, by name.
    settings: dict[str, Any] = field(default_factory=dict)
    # What the tier's own settings are read from.
    environ: dict[str, str] = field(default_factory=dict)
    # Where a process of its own tells its health in plaintext.
    health_bind: str = ""
    # TLS_CERT_FILE, TLS_KEY_FILE and TLS_CA_FILE of that process, and who may call it.
    tls_files: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()

    def grpc(self) -> GrpcServerSettings:
        """Return how it is served."""
        settings: dict[str, Any] = {
            "bind": "127.0.0.1:0",
            "threads": 8,
            "notserving_wait_seconds": 0.0,
            "drain_seconds": 1.0,
        }
        tls = None
        if self.tls_files:
            files = TlsFiles(*map(Path, self.tls_files))
            tls = ServerTls(files, frozenset(self.callers), frozenset(self.readers))
        return GrpcServerSettings(**settings | self.settings, tls=tls)

    def serving(self) -> Serving:
        """Return how a process of its own serves it."""
        return Serving(
            self.kind, self.protocol, self.workers, self.grpc(), health_bind=self.health_bind
        )

    def make(self, in_process: InProcess | None = None) -> Tier:
        """Build the tier; the next one may be in this process."""
        module, function = _MAKERS[self.kind]
        tier: Tier = getattr(import_module(module), function)(self.environ, in_process or {})
        return tier
