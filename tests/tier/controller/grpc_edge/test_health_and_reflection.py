"""What the public gRPC edge tells of itself: how it is, and what it serves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import (  # type: ignore[import-untyped]  # ships no types
    health_pb2,
    health_pb2_grpc,
)
from grpc_reflection.v1alpha import (  # type: ignore[import-untyped]  # ships no types
    reflection_pb2,
    reflection_pb2_grpc,
)

from arcana.service.v1.user_service_pb2 import StreamUsersRequest
from tests.fakes.service import FakeServiceTier
from tests.stores.waiting import eventually
from tests.tier.controller.grpc_edge.edges import SECONDS, PublicEdge, public_edge
from tier_runtime.clock import SystemClock

AUTH = "arcana.service.v1.AuthService"
USERS = "arcana.service.v1.UserService"
SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.fixture(scope="module")
def edge() -> Iterator[PublicEdge]:
    with public_edge() as edge:
        yield edge


def _check(edge: PublicEdge, service: str) -> int:
    request = health_pb2.HealthCheckRequest(service=service)
    status: int = health_pb2_grpc.HealthStub(edge.channel).Check(request, timeout=SECONDS).status
    return status


def test_the_worker_serves_and_so_does_what_is_behind_it(edge: PublicEdge) -> None:
    assert _check(edge, "") == SERVING
    eventually(lambda: _check(edge, AUTH) == SERVING, what="the accounts are there")
    eventually(lambda: _check(edge, USERS) == SERVING, what="the users are there")


def test_of_internal_services_health_knows_nothing(edge: PublicEdge) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        _check(edge, "arcana.service.v1.RateLimitService")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_service_whose_tier_is_gone_does_not_serve() -> None:
    with public_edge(FakeServiceTier(SystemClock()), service_urls=["auth=grpc://127.0.0.1:1"]) as (
        edge
    ):
        eventually(lambda: _check(edge, USERS) == SERVING, what="the users are there")
        assert _check(edge, AUTH) != SERVING
        assert _check(edge, "") == SERVING


def test_only_so_many_may_watch() -> None:
    with public_edge(public_grpc_max_watches=2) as edge:
        stub = health_pb2_grpc.HealthStub(edge.channel)
        request = health_pb2.HealthCheckRequest(service="")
        watches = [stub.Watch(request) for _ in range(2)]
        assert [next(watch).status for watch in watches] == [SERVING] * 2
        with pytest.raises(grpc.RpcError) as raised:
            next(stub.Watch(request))
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        watches[0].cancel()

        def has_room() -> bool:
            watch = stub.Watch(request)
            try:
                return bool(next(watch).status == SERVING)
            except grpc.RpcError:
                return False
            finally:
                watch.cancel()

        eventually(has_room, what="one who left makes room")
        watches[1].cancel()


class Reflected:
    """What reflection answers."""

    def __init__(self, edge: PublicEdge) -> None:
        self._stub = reflection_pb2_grpc.ServerReflectionStub(edge.channel)

    def ask(self, **request: str) -> reflection_pb2.ServerReflectionResponse:
        requests = iter([reflection_pb2.ServerReflectionRequest(**request)])
        [answer] = self._stub.ServerReflectionInfo(requests, timeout=SECONDS)
        return answer

    def services(self) -> list[str]:
        answer = self.ask(list_services="")
        return [service.name for service in answer.list_services_response.service]

    def files(self, symbol: str) -> list[FileDescriptorProto]:
        answer = self.ask(file_containing_symbol=symbol)
        files = answer.file_descriptor_response.file_descriptor_proto
        return [FileDescriptorProto.FromString(text) for text in files]


@pytest.fixture
def reflected(edge: PublicEdge) -> Reflected:
    return Reflected(edge)


def test_reflection_lists_what_is_public(reflected: Reflected) -> None:
    assert reflected.services() == [
        AUTH,
        "arcana.service.v1.EventService",
        "arcana.service.v1.FileService",
        "arcana.service.v1.JobService",
        "arcana.service.v1.OrderService",
        "arcana.service.v1.ProductService",
        USERS,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    ]


@pytest.mark.parametrize(
    "symbol",
    [
        "arcana.service.v1.RateLimitService",
        f"{AUTH}.CheckSession",
        f"{AUTH}.ListAccessChanges",
        f"{USERS}.BatchGetUsers",
        "arcana.service.v1.CheckSessionRequest",
        "arcana.service.v1.EndedSession",
        "arcana.common.v1.Actor",
        "arcana.repository.v1.UserRepository",
    ],
)
def test_reflection_tells_nothing_of_what_is_not(reflected: Reflected, symbol: str) -> None:
    assert reflected.ask(file_containing_symbol=symbol).HasField("error_response")


def test_reflection_is_enough_to_call_by(edge: PublicEdge, reflected: Reflected) -> None:
    user, metadata = edge.signed_in("ada@example.org")
    pool = DescriptorPool()
    for file in reversed(reflected.files(USERS)):
        pool.Add(file)
    service = pool.FindServiceByName(USERS)
    names = {method.name for method in service.methods}
    assert "GetUser" in names
    assert "BatchGetUsers" not in names
    method = service.FindMethodByName("GetUser")
    request = message_factory.GetMessageClass(method.input_type)
    answer = message_factory.GetMessageClass(method.output_type)
    call: Any = edge.channel.unary_unary(
        f"/{USERS}/GetUser", request.SerializeToString, answer.FromString
    )
    assert call(request(user_id=user.id), metadata=metadata).user.email == user.email


def test_strangers_who_ask_what_is_served_take_no_streams_from_others() -> None:
    with public_edge(public_grpc_threads=3, public_grpc_max_streams=2) as edge:
        stub = reflection_pb2_grpc.ServerReflectionStub(edge.channel)
        finished = threading.Event()

        def requests() -> Iterator[reflection_pb2.ServerReflectionRequest]:
            yield reflection_pb2.ServerReflectionRequest(list_services="")
            finished.wait(SECONDS)

        opened = [stub.ServerReflectionInfo(requests(), timeout=SECONDS) for _ in range(2)]
        for answers in opened:
            assert next(answers).HasField("list_services_response")
        with pytest.raises(grpc.RpcError) as raised:
            next(stub.ServerReflectionInfo(requests(), timeout=SECONDS))
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        _, metadata = edge.signed_in("admin@example.org", "admin")
        streams = [
            edge.users.StreamUsers(StreamUsersRequest(), metadata=metadata, timeout=SECONDS)
            for _ in range(2)
        ]
        assert [len(list(stream)) for stream in streams] == [1, 1]
        finished.set()


def test_a_reflection_stream_that_stays_open_ends_with_the_time_of_a_request() -> None:
    with public_edge(request_timeout_seconds=0.3) as edge:
        stub = reflection_pb2_grpc.ServerReflectionStub(edge.channel)
        finished = threading.Event()

        def requests() -> Iterator[reflection_pb2.ServerReflectionRequest]:
            yield reflection_pb2.ServerReflectionRequest(list_services="")
            finished.wait(SECONDS)

        answers = stub.ServerReflectionInfo(requests(), timeout=SECONDS)
        assert next(answers).HasField("list_services_response")
        with pytest.raises(grpc.RpcError):
            next(answers)
        finished.set()
