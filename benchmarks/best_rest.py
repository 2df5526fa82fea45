"""The best REST hop that could be built: coalescing as over gRPC, and the fastest ends.

granian, an HTTP server in Rust, runs the WSGI application in threads; the client keeps raw sockets
alive and speaks only as much HTTP as it needs. What gRPC has and this has not: bytes passed on. The
cache holds protobuf, which is parsed and encoded as JSON for every answer here.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from urllib.parse import urlsplit

import grpc
from granian import Granian
from granian.constants import HTTPModes, Interfaces

from benchmarks.plan import REST_BEST
from benchmarks.rest_app import rest_app
from benchmarks.rest_channels import LeanConnections, open_rest
from tier_runtime.addresses import Address
from tier_runtime.channel import ChannelSettings
from tier_runtime.rest.app import RestApp
from tier_runtime.tier import Serving, Tier

# Which tier a worker of granian makes: it is told nothing but the name of a function.
TIER_VARIABLE = "ARCANA_BENCHMARK_TIER"
# Few threads beat many where handlers do not block.
THREADS = 8


def serve_best(serving: Serving, make: Callable[[], Tier]) -> int:
    """Serve a tier's handlers until a signal and return the exit code."""
    # The worker makes its own: nothing of a tier may cross a fork.
    del make
    address = Address.parse(serving.grpc.bind)
    os.environ[TIER_VARIABLE] = serving.name
    Granian(
        "benchmarks.best_rest:application",
        factory=True,
        address=address.host,
        port=address.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        workers=1,
        blocking_threads=THREADS,
        log_enabled=False,
        websockets=False,
    ).serve()
    return 0


def application() -> RestApp:
    """Return the application of the tier that the environment names; granian calls it."""
    # Here, because that module serves tiers by this one.
    from benchmarks.serve import inner_tier  # noqa: PLC0415

    serving, make = inner_tier(REST_BEST, os.environ[TIER_VARIABLE])
    tier = make()
    atexit.register(tier.close)
    return rest_app(serving, tier)


def open_best(url: str, settings: ChannelSettings) -> grpc.Channel:
    """Return a channel over kept-alive raw sockets."""
    parts = urlsplit(url)
    connections = LeanConnections(parts.hostname or "", parts.port or 0)
    return open_rest(parts.netloc, settings, connections)
