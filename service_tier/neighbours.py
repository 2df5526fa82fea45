"""How the repository tier is, and its stores as it sees them, for this tier's health board."""

from __future__ import annotations

from collections.abc import Callable

import grpc
from grpc_health.v1 import (  # type: ignore[import-untyped]  # ships no types
    health_pb2,
    health_pb2_grpc,
)

from tier_runtime.errors import AppError
from tier_runtime.health import THIS_TIER, HealthBoard

PROBE_TIMEOUT_SECONDS = 1.0

# What the repository tier calls it, by the name under which this tier passes it on.
_RELAYED = {
    "tier.repository": THIS_TIER,
    "store.database": "store.database",
    "store.cache": "store.cache",
}


def add_repository_probes(board: HealthBoard, channel: grpc.Channel, interval: float) -> None:
    """Have the board ask the repository tier about itself and its stores."""
    stub = health_pb2_grpc.HealthStub(channel)
    for name, asked in _RELAYED.items():
        board.add_probe(name, _probe(stub, asked), interval)


def _probe(stub: health_pb2_grpc.HealthStub, asked: str) -> Callable[[], bool]:
    def check() -> bool:
        request = health_pb2.HealthCheckRequest(service=asked)
        try:
            answer = stub.Check(request, timeout=PROBE_TIMEOUT_SECONDS)
        except AppError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return check
