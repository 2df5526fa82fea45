"""The probe over each transport, and stubs on it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest

from tests.kept_logging import kept_logging
from tests.tier.transports.plans import TierPlan
from tests.tier.transports.probe_contract import ProbeStub
from tests.tier.transports.wires import WIRES, Peer, Wire, served
from tier_runtime.logs import configure_logging

# What the served probe takes and gives; small, so that messages of this size are quickly made.
MAX_MESSAGE_BYTES = 256 * 1024

Connect = Callable[..., ProbeStub]


@pytest.fixture(scope="module", autouse=True)
def _quiet_tiers() -> Iterator[None]:
    """Keep the log lines of the tiers in this process out of the reports."""
    with kept_logging():
        configure_logging("test", "error", io.StringIO())
        yield


@pytest.fixture(scope="session")
def peer_of() -> Iterator[Callable[[Wire], Peer]]:
    """Serve the probe over a transport, once for all tests of this worker."""
    peers: dict[Wire, Peer] = {}
    with ExitStack() as stack:

        def find(wire: Wire) -> Peer:
            if wire not in peers:
                plan = TierPlan(
                    "probe",
                    protocol="http" if wire == "http" else "grpc",
                    # Half of them for streams: some handlers go on when their callers have gone.
                    settings={"threads": 48, "max_message_bytes": MAX_MESSAGE_BYTES},
                )
                peers[wire] = stack.enter_context(served(wire, plan))
            return peers[wire]

        yield find


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> Wire:
    """Run the test over each transport."""
    return cast(Wire, request.param)


@pytest.fixture
def peer(peer_of: Callable[[Wire], Peer], wire: Wire) -> Peer:
    """The served probe."""
    return peer_of(wire)


@pytest.fixture
def connect(peer: Peer) -> Iterator[Connect]:
    """Open a channel as a tier does, and return a stub on it; settings by name."""
    with ExitStack() as stack:

        def open_stub(*, raw: bool = False, **settings: Any) -> ProbeStub:
            settings.setdefault("max_message_bytes", MAX_MESSAGE_BYTES)
            return ProbeStub(stack.enter_context(peer.channel(**settings)), raw=raw)

        yield open_stub


@pytest.fixture
def probe(connect: Connect) -> ProbeStub:
    """A stub as a tier has it."""
    return connect()


@pytest.fixture
def raw_probe(connect: Connect) -> ProbeStub:
    """A stub as a forwarding tier has it: serialized messages in and out."""
    return connect(raw=True)


@pytest.fixture
def bare_probe(peer: Peer) -> Iterator[ProbeStub]:
    """A stub as a stranger has it: no actor, no deadline, gRPC's own errors."""
    with peer.bare_channel() as channel:
        yield ProbeStub(channel)
