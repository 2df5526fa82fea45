from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import (  # type: ignore[import-untyped]  # ships no types
    health_pb2,
    health_pb2_grpc,
)

from tests.tier.transports.probe_contract import SERVICE
from tests.tier.transports.wires import Peer
from tier_runtime.errors import AppError, Kind


@pytest.fixture
def health(peer: Peer) -> Iterator[Any]:
    with peer.channel() as channel:
        yield health_pb2_grpc.HealthStub(channel)


@pytest.mark.parametrize("name", ["", SERVICE])
def test_a_served_tier_and_its_services_are_well(health: Any, name: str) -> None:
    answer = health.Check(health_pb2.HealthCheckRequest(service=name))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_neighbour_that_does_not_answer_is_told(health: Any) -> None:
    answer = health.Check(health_pb2.HealthCheckRequest(service="store.database"))
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("name", ["no.such", "a/b c?d"])
def test_an_unknown_name_is_not_found(peer: Peer, health: Any, name: str) -> None:
    asked = health_pb2.HealthCheckRequest(service=name)
    with peer.bare_channel() as channel, pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(channel).Check(asked)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(AppError) as mapped:
        health.Check(asked)
    assert mapped.value.kind is Kind.INTERNAL
