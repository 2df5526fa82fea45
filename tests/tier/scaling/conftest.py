"""Replicas of the probe as processes of their own, and channels to all of them."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.kept_logging import kept_logging
from tests.stores.waiting import eventually
from tests.tier.scaling.name_server import NameServer
from tests.tier.transports.plans import TierPlan
from tests.tier.transports.probe_contract import ProbeStub
from tests.tier.transports.wires import TierProcess
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.logs import configure_logging

HOSTS = ("127.0.0.1", "127.0.0.2")

Start = Callable[[TierPlan], TierProcess]
Run = Callable[..., TierProcess]
Open = Callable[..., ProbeStub]


@pytest.fixture(scope="module", autouse=True)
def _quiet_tiers() -> Iterator[None]:
    """Keep the log lines of what runs in this process out of the reports."""
    with kept_logging():
        configure_logging("test", "error", io.StringIO())
        yield


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a tier in a process of its own and wait until it listens."""
    with ExitStack() as stack:

        def begin(plan: TierPlan) -> TierProcess:
            process = TierProcess.of_plan(plan)
            stack.callback(process.stop)
            process.address()
            if plan.protocol == "http":
                # The master listens before there is a worker that answers.
                eventually(lambda: len(process.pids()) > plan.workers, what="all workers")
            return process

        yield begin


@pytest.fixture
def run() -> Iterator[Run]:
    """Start a tier's own program by its module, with this environment."""
    with ExitStack() as stack:

        def begin(module: str, **environ: str) -> TierProcess:
            process = TierProcess(module, environ=environ)
            stack.callback(process.stop)
            return process

        yield begin


@pytest.fixture
def open_stub() -> Iterator[Open]:
    """Open a channel by its URL and return the probe's stub on it; settings by name."""
    with ExitStack() as stack:

        def connect(url: str, **settings: object) -> ProbeStub:
            given = ChannelSettings(**settings)  # type: ignore[arg-type]  # by name
            return ProbeStub(stack.enter_context(open_channel(url, given)))

        yield connect


@pytest.fixture
def names() -> Iterator[NameServer]:
    """A name server that knows the first host only."""
    with NameServer(HOSTS[0]) as server:
        yield server


def port_of_all_hosts() -> int:
    """Return a port that is free on every host."""
    while True:
        with ExitStack() as stack:
            first = stack.enter_context(socket.create_server((HOSTS[0], 0)))
            port: int = first.getsockname()[1]
            try:
                for host in HOSTS[1:]:
                    stack.enter_context(socket.create_server((host, port)))
            except OSError:
                continue
            return port
