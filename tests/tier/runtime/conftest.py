"""Servers of a test's own, and the channels to them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import grpc
import pytest
import structlog
from structlog.testing import LogCapture

from tests.tier.runtime.arities import Arities, AritiesStub
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.health import HealthBoard
from tier_runtime.server import GrpcServerSettings, TierServer, build_server

Serve = Callable[..., TierServer]
Connect = Callable[..., AritiesStub]

SETTINGS = GrpcServerSettings(bind="127.0.0.1:0", threads=8, notserving_wait_seconds=0.0)


@pytest.fixture
def log_lines() -> list[Any]:
    """What servers of this test write to their log."""
    return []


@pytest.fixture
def serve(log_lines: list[Any]) -> Iterator[Serve]:
    """Start a server of these Arities; settings by name."""
    capture = LogCapture()
    capture.entries = log_lines
    log: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger("captured"),
        processors=[structlog.stdlib.add_log_level, capture],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    with ExitStack() as stack:

        def start(
            arities: Arities | None = None,
            health: HealthBoard | None = None,
            **settings: Any,
        ) -> TierServer:
            server = build_server(
                replace(SETTINGS, **settings),
                [(arities or Arities()).registration()],
                health or HealthBoard(),
                log,
            )
            server.start()
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture
def channel_to() -> Iterator[Callable[..., grpc.Channel]]:
    """Open a channel to a server; settings by name."""
    with ExitStack() as stack:

        def connect(server: TierServer, **settings: Any) -> grpc.Channel:
            url = f"grpc://{server.address}"
            channel = open_channel(url, ChannelSettings(**settings))
            return stack.enter_context(channel)

        yield connect


@pytest.fixture
def stub_of(channel_to: Callable[..., grpc.Channel]) -> Connect:
    """Open a channel to a server and return the stub on it."""

    def connect(server: TierServer, **settings: Any) -> AritiesStub:
        return AritiesStub(channel_to(server, **settings))

    return connect


@pytest.fixture
def bare_stub_of() -> Iterator[Connect]:
    """Return a stub as a stranger has it: gRPC's own channel, none of our interceptors."""
    with ExitStack() as stack:

        def connect(server: TierServer) -> AritiesStub:
            return AritiesStub(stack.enter_context(grpc.insecure_channel(server.address)))

        yield connect
