"""Strangers that send the headers of an RPC and then nothing: they hold no thread for long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from arcana.service.v1 import auth_service_pb2 as auth_pb2
from tests.stores.waiting import eventually
from tests.tier.controller.grpc_edge.edges import SECONDS, Metadata, PublicEdge, public_edge

JWKS = "/arcana.service.v1.AuthService/GetJwks"
STREAM_USERS = "/arcana.service.v1.UserService/StreamUsers"
CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"

# Makes an RPC of this method without a deadline, of which only the headers are sent.
Begin = Callable[..., Any]


@pytest.fixture(scope="module")
def edge() -> Iterator[PublicEdge]:
    # With the two of reflection it has four threads.
    with public_edge(
        request_timeout_seconds=0.5, public_grpc_threads=2, public_grpc_max_streams=1
    ) as edge:
        yield edge


@pytest.fixture
def begin(edge: PublicEdge) -> Iterator[Begin]:
    over = threading.Event()

    def silence() -> Iterator[bytes]:
        over.wait(3 * SECONDS)
        yield from ()

    def call(path: str, metadata: Metadata = ()) -> Any:
        rpc: Any = edge.channel.stream_stream(path, None, None)
        return rpc(silence(), metadata=metadata)

    yield call
    over.set()


def _code(call: Any) -> grpc.StatusCode:
    """Wait for the end of an RPC that has no answer, and return its status."""
    with pytest.raises(grpc.RpcError):
        next(call)
    code: grpc.StatusCode = call.code()
    return code


def _send(edge: PublicEdge, path: str, *messages: bytes) -> Any:
    rpc: Any = edge.channel.stream_unary(path, None, None)
    return rpc.future(iter(messages), timeout=SECONDS)


@pytest.mark.parametrize("path", [JWKS, CHECK, WATCH])
def test_rpcs_without_a_message_end_and_the_port_lives_on(
    edge: PublicEdge, begin: Begin, path: str
) -> None:
    calls = [begin(path) for _ in range(8)]
    assert edge.auth.GetJwks(auth_pb2.GetJwksRequest(), timeout=SECONDS).keys
    # They are no streams: none was refused for there being too many.
    assert {_code(call) for call in calls} == {grpc.StatusCode.CANCELLED}


def test_a_stream_that_waits_for_its_request_gives_its_slot_back(
    edge: PublicEdge, begin: Begin
) -> None:
    _, metadata = edge.signed_in("half-open@example.org", "admin")
    assert _code(begin(STREAM_USERS, metadata)) is grpc.StatusCode.CANCELLED
    call: Any = edge.channel.unary_stream(STREAM_USERS, None, None)

    def users() -> list[bytes]:
        # The caller hears of its end a moment before the slot is free.
        try:
            return list(call(b"", metadata=metadata, timeout=SECONDS))
        except grpc.RpcError as error:
            failed: Any = error
            if failed.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                return []
            raise

    assert eventually(users, SECONDS, "a free slot")


def test_who_may_not_call_is_not_even_waited_for(begin: Begin) -> None:
    assert _code(begin(STREAM_USERS)) is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("path", [JWKS, CHECK])
def test_no_message_is_answered_as_grpc_answers_it(edge: PublicEdge, path: str) -> None:
    error = _send(edge, path).exception(timeout=SECONDS)
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert error.details() == f'"{path}" requires exactly one request message.'


@pytest.mark.parametrize("path", [JWKS, CHECK])
def test_of_two_messages_the_first_is_answered_as_grpc_does_it(edge: PublicEdge, path: str) -> None:
    assert _send(edge, path, b"", b"\xff").result(timeout=SECONDS)


def test_a_probe_that_cannot_be_read_is_the_callers_fault(edge: PublicEdge) -> None:
    error = _send(edge, CHECK, b"\xff").exception(timeout=SECONDS)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
