"""The REST hop that many a published comparison has measured gRPC against.

werkzeug's development server and `requests.request`, both as they come: a line of log and a thread
for every connection, a new connection for every call. Paths, JSON, handlers and authentication are
those of our REST hops.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

import grpc
from werkzeug.serving import make_server

from benchmarks.rest_app import close_at_the_end, rest_app
from benchmarks.rest_channels import NewConnections, open_rest
from tier_runtime.addresses import Address
from tier_runtime.channel import ChannelSettings
from tier_runtime.tier import Serving, Tier


def serve_naive(serving: Serving, make: Callable[[], Tier]) -> int:
    """Serve a tier's handlers until a signal and return the exit code."""
    address = Address.parse(serving.grpc.bind)
    tier = make()
    app = rest_app(serving, tier)
    server = make_server(address.host, address.port, app, threaded=True)
    with close_at_the_end(tier):
        signal.signal(signal.SIGTERM, _end)
        server.serve_forever()
    return 0


def open_naive(url: str, settings: ChannelSettings) -> grpc.Channel:
    """Return a channel that makes a new connection for every call."""
    parts = urlsplit(url)
    connections = NewConnections(parts.hostname or "", parts.port or 0)
    return open_rest(parts.netloc, settings, connections)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)
