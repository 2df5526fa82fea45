"""Certificates of a test's own, and tiers and channels that use them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from launcher.certificates import make_certificates
from launcher.peers import tls_variables
from tests.tier.transports.plans import TierPlan
from tests.tier.transports.wires import Peer, TierProcess, Wire
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.rest.channel import RestChannel
from tier_runtime.tls.credentials import channel_credentials
from tier_runtime.tls.files import TlsFiles

# Who a test's server lets in, and who may read there only.
CALLER, READER, STRANGER = "service", "worker", "controller"


def files_of(folder: Path, name: str) -> TlsFiles:
    return TlsFiles(*map(Path, tls_variables(folder, name).values()))


@dataclass(frozen=True, slots=True)
class TlsPeer(Peer):
    """A tier that is served by mutual TLS; channels to it are those of a caller it knows."""

    files: TlsFiles = field(kw_only=True)

    def channel(self, **settings: Any) -> grpc.Channel:
        return open_channel(self.url, ChannelSettings(tls=self.files, **settings))

    def bare_channel(self) -> grpc.Channel:
        address = self.url.rpartition("/")[2]
        if self.wire == "http":
            return RestChannel([address], ChannelSettings(tls=self.files))
        return grpc.secure_channel(address, channel_credentials(self.files))


def tls_plan(folder: Path, wire: Wire, **settings: Any) -> TierPlan:
    """Return the probe as the peer `repository`."""
    return TierPlan(
        "probe",
        protocol="http" if wire == "http" else "grpc",
        settings=settings,
        tls_files=tuple(tls_variables(folder, "repository").values()),
        callers=(CALLER,),
        readers=(READER,),
    )


@contextmanager
def served_by_tls(wire: Wire, plan: TierPlan, folder: Path) -> Iterator[tuple[TlsPeer, Any]]:
    """Serve a plan in a process of its own, and give it with the process."""
    process = TierProcess.of_plan(plan)
    try:
        url = f"{wire}://{process.address()}"
        yield TlsPeer(wire, url, files=files_of(folder, CALLER)), process
    finally:
        code = process.stop()
    assert code == 0, process.text()[-3000:]


def make(folder: Path) -> Path:
    make_certificates(folder)
    return folder
