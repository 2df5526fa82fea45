"""The spans of a hop on both of its sides, over gRPC and in place, in all four arities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest

from tests.stores.waiting import eventually
from tests.tier.runtime.arities import METHODS, SERVICE, Arities, AritiesStub, messages
from tests.tracing.recorded import CALLER, UNRECORDED, Recorded, id_of, parent_of
from tier_runtime.breaker import Breaker
from tier_runtime.call import Actor, Call, call_scope, current_call, shared_scope
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.clock import SystemClock
from tier_runtime.context import RpcContext
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.health import HealthBoard
from tier_runtime.inproc import LocalServer
from tier_runtime.logs import get_logger
from tier_runtime.server import GrpcServerSettings, build_server
from tier_runtime.telemetry import Telemetry
from tier_runtime.tier import Tier

SETTINGS = GrpcServerSettings(bind="127.0.0.1:0", threads=8, notserving_wait_seconds=0.0)
Connect = Callable[..., AritiesStub]


def call_in(traceparent: str) -> Call:
    return Call(Actor(), "r-1", Deadline.after(30), traceparent)


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture(params=["grpc", "inproc"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def connect(transport: str, recorded: Recorded) -> Iterator[Connect]:
    """Serve these Arities and open a channel to them, both traced."""
    with ExitStack() as stack:

        def start(arities: Arities | None = None, **settings: Any) -> AritiesStub:
            registration = (arities or Arities()).registration()
            log, tracing = get_logger("test"), recorded.tracing
            telemetry = Telemetry(tracing=tracing)
            if transport == "grpc":
                server = build_server(
                    SETTINGS, [registration], HealthBoard(), log, telemetry=telemetry
                )
                server.start()
                stack.callback(server.stop)
                url, local = f"grpc://{server.address}", {}
            else:
                tier = Tier([registration], HealthBoard(), telemetry=telemetry)
                local = {"it": LocalServer(tier, SETTINGS, log)}
                stack.callback(local["it"].stop)
                url = "inproc:it"
            channel = open_channel(
                url, ChannelSettings(**settings), in_process=local, tracing=tracing
            )
            return AritiesStub(stack.enter_context(channel))

        yield start


@pytest.mark.parametrize("method", METHODS)
def test_a_hop_has_a_span_on_each_side(
    connect: Connect, recorded: Recorded, transport: str, method: str
) -> None:
    seen: list[Call | None] = []

    def answer(text: str, _context: RpcContext) -> str:
        seen.append(current_call())
        return text

    stub = connect(Arities(answer))
    with call_scope(call_in(CALLER)):
        assert set(stub.call(method, "x")) == {"x"}
    eventually(lambda: len(recorded.spans) == 2)
    client, server = sorted(recorded.spans, key=lambda span: span.kind.name)
    assert (client.kind.name, server.kind.name) == ("CLIENT", "SERVER")
    assert parent_of(client) == CALLER.split("-")[2]
    assert parent_of(server) == id_of(client)
    assert {call.traceparent.split("-")[2] for call in seen if call} == {id_of(server)}
    for span in (client, server):
        assert span.name == f"{SERVICE}/{method}"
        attributes = dict(span.attributes or {})
        assert attributes["rpc.system.name"] == transport
        assert attributes["rpc.response.status_code"] == "OK"


@pytest.mark.parametrize("method", METHODS)
def test_a_hop_that_fails_tells_both_sides_by_which_error(
    connect: Connect, recorded: Recorded, method: str
) -> None:
    def refuse(_text: str, _context: RpcContext) -> str:
        raise AppError(Kind.CONFLICT, "INVALID_STATE", "ada@people.example may not.")

    stub = connect(Arities(refuse))
    with call_scope(call_in(CALLER)), pytest.raises(AppError):
        stub.call(method, "x")
    eventually(lambda: len(recorded.spans) == 2)
    for span in recorded.spans:
        attributes = dict(span.attributes or {})
        assert attributes["rpc.response.status_code"] == "FAILED_PRECONDITION"
        assert attributes["error.type"] == "INVALID_STATE"
        assert "ada@" not in span.to_json()


def test_a_call_that_goes_on_beside_its_caller_ends_its_span_when_it_ends(
    connect: Connect, recorded: Recorded
) -> None:
    stub = connect()
    with call_scope(call_in(CALLER)):
        future = stub.unary_unary_call.future(next(messages("x")))
    assert future.result(10).value == "x"
    eventually(lambda: len(recorded.spans) == 2)


@pytest.mark.parametrize("ends", ["cancelled", "dropped"])
def test_a_stream_that_is_not_read_to_its_end_ends_its_span_as_cancelled(
    connect: Connect, recorded: Recorded, ends: str
) -> None:
    stub = connect()
    with call_scope(call_in(CALLER)):
        stream = stub.unary_stream_call(next(messages("x")))
        assert next(stream).value == "x"
    if ends == "cancelled":
        stream.cancel()
    del stream

    def codes() -> set[object]:
        return {
            (span.attributes or {}).get("rpc.response.status_code")
            for span in recorded.spans
            if span.kind.name == "CLIENT"
        }

    eventually(lambda: codes() == {"CANCELLED"})


@pytest.mark.parametrize("traceparent", ["", UNRECORDED])
def test_outside_of_a_recorded_trace_there_are_no_spans(
    connect: Connect, recorded: Recorded, traceparent: str
) -> None:
    stub = connect()
    with call_scope(call_in(traceparent)):
        assert stub.call("UnaryUnary", "x") == ["x"]
    assert stub.call("UnaryUnary", "x") == ["x"]
    assert not recorded.spans


@pytest.mark.parametrize("method", ["UnaryUnary", "UnaryStream"])
def test_a_call_that_the_breaker_refuses_has_a_span_that_says_so(
    recorded: Recorded, method: str
) -> None:
    breaker = Breaker(SystemClock(), 1, 60.0, lambda is_open: None)
    breaker.enter()
    breaker.note(succeeded=False)
    settings = ChannelSettings(breaker=breaker)
    # Nobody listens there, and nobody is asked.
    with (
        open_channel("grpc://127.0.0.1:9", settings, tracing=recorded.tracing) as channel,
        call_scope(call_in(CALLER)),
        pytest.raises(AppError),
    ):
        AritiesStub(channel).call(method, "x")
    attributes = dict(recorded.only.attributes or {})
    assert attributes["rpc.response.status_code"] == "UNAVAILABLE"
    assert attributes["error.type"] == "SERVICE_UNAVAILABLE"
    assert (attributes["server.address"], attributes["server.port"]) == ("127.0.0.1", 9)


def test_a_call_made_for_several_is_linked_with_the_others(
    connect: Connect, recorded: Recorded
) -> None:
    stub, other = connect(), CALLER.replace("b7ad6b", "c7ad6b")
    with call_scope(call_in(CALLER)), shared_scope([CALLER, other]):
        stub.call("UnaryUnary", "x")
    eventually(lambda: len(recorded.spans) == 2)
    (client,) = [span for span in recorded.spans if span.kind.name == "CLIENT"]
    assert [f"{link.context.span_id:016x}" for link in client.links] == [other.split("-")[2]]


def test_nothing_is_shared_outside_of_a_call_or_with_oneself() -> None:
    with shared_scope([CALLER]):
        assert current_call() is None
    call = call_in(CALLER)
    with call_scope(call), shared_scope([CALLER]):
        assert current_call() is call


def test_who_does_not_trace_passes_on_what_came(recorded: Recorded) -> None:
    seen: list[Call] = []

    def answer(text: str, context: RpcContext) -> str:
        seen.append(context.call)
        return text

    server = build_server(
        SETTINGS, [Arities(answer).registration()], HealthBoard(), get_logger("test")
    )
    server.start()
    try:
        with open_channel(f"grpc://{server.address}") as channel:
            state = Call(Actor(), "r-1", Deadline.after(30), CALLER, "shop=1")
            with call_scope(state):
                AritiesStub(channel).call("UnaryUnary", "x")
    finally:
        server.stop()
    assert [(call.traceparent, call.tracestate) for call in seen] == [(CALLER, "shop=1")]


def test_a_closed_channel_ends_the_span_of_a_call_that_cannot_begin(
    connect: Connect, recorded: Recorded
) -> None:
    stub = connect()
    channel: grpc.Channel = open_channel("grpc://127.0.0.1:9", tracing=recorded.tracing)
    stub = AritiesStub(channel)
    channel.close()
    with call_scope(call_in(CALLER)), pytest.raises(ValueError, match="closed"):
        stub.call("UnaryStream", "x")
    attributes = dict(recorded.only.attributes or {})
    assert attributes["rpc.response.status_code"] == "UNKNOWN"
