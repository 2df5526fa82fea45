"""A breaker around a channel: what opens it, what does not, and what passes all the same."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import (  # type: ignore[import-untyped]  # ships no types
    health_pb2,
    health_pb2_grpc,
)

from tests.fakes.clock import FakeClock
from tests.stores.waiting import eventually
from tests.tier.runtime.arities import METHODS, Arities, AritiesStub
from tests.tier.runtime.conftest import Connect, Serve
from tests.tier.transports.asking import DOWN, UNARY, UP, ask, new_note, recall, request
from tests.tier.transports.plans import TierPlan
from tests.tier.transports.probe_contract import ProbeStub, message
from tests.tier.transports.wires import WIRES, Wire, served
from tier_runtime.breaker import Breaker
from tier_runtime.breaking import BreakingInterceptor
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.context import RpcContext
from tier_runtime.deadline import deadline_exceeded
from tier_runtime.errors import AppError, Kind

FAILURES = 3
SECONDS = 10.0
# Port 1 is nobody's.
NOWHERE = ("grpc://127.0.0.1:1", "http://127.0.0.1:1")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> Breaker:
    return Breaker(clock, FAILURES, SECONDS)


@pytest.fixture(params=NOWHERE)
def lost(request: pytest.FixtureRequest, breaker: Breaker) -> Iterator[ProbeStub]:
    """Give a stub of a server that is not there."""
    with open_channel(request.param, ChannelSettings(breaker=breaker)) as channel:
        yield ProbeStub(channel)


def _refused(call: Callable[[], object]) -> AppError:
    with pytest.raises(AppError) as raised:
        call()
    assert (raised.value.kind, raised.value.code) == (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    return raised.value


@pytest.mark.parametrize("arity", [UNARY, DOWN, UP])
def test_a_peer_that_is_gone_is_left_alone_after_some_failures(
    lost: ProbeStub, breaker: Breaker, arity: str
) -> None:
    for _ in range(FAILURES):
        assert not breaker.is_open
        assert _refused(lambda: ask(lost, arity, request())).retry_after is None
    assert breaker.is_open
    # Nobody was asked: the answer names the time that is left.
    assert _refused(lambda: ask(lost, arity, request())).retry_after == SECONDS


def test_futures_are_counted_when_they_are_done(lost: ProbeStub, breaker: Breaker) -> None:
    for _ in range(FAILURES):
        future = lost.Answer.future(request())
        assert isinstance(future.exception(timeout=10), AppError)
    eventually(lambda: breaker.is_open, what="the breaker is open")
    refused = lost.Answer.future(request())
    assert _refused(lambda: refused.result(timeout=10)).retry_after == SECONDS


def test_one_call_tries_after_the_time_and_a_peer_that_is_back_is_asked_again(
    serve: Serve, stub_of: Connect, breaker: Breaker, clock: FakeClock
) -> None:
    stub = stub_of(serve(), breaker=breaker)
    for _ in range(FAILURES):
        breaker.note(succeeded=False)
    _refused(lambda: stub.unary_unary("x"))
    clock.advance(SECONDS)
    assert stub.unary_unary("x") == "x"
    assert not breaker.is_open


@pytest.mark.parametrize(
    "error",
    [
        AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "The cache is down."),
        AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Busy.", retry_after=1),
        AppError(Kind.INTERNAL, "INTERNAL_ERROR", "?"),
        AppError(Kind.THROTTLED, "RATE_LIMITED", "Too many."),
    ],
    ids=["a part behind it is down", "it is busy", "a fault", "throttled"],
)
@pytest.mark.parametrize("method", METHODS)
def test_a_peer_that_says_so_itself_lives(
    serve: Serve, stub_of: Connect, breaker: Breaker, error: AppError, method: str
) -> None:
    def fail(_text: str, _context: RpcContext) -> str:
        raise error

    stub = stub_of(serve(Arities(fail)), breaker=breaker)
    for _ in range(FAILURES + 1):
        with pytest.raises(AppError):
            stub.call(method, "x")
    assert not breaker.is_open


@pytest.mark.parametrize("wire", WIRES)
def test_that_a_peer_lives_is_told_by_every_transport(wire: Wire, breaker: Breaker) -> None:
    busy = message("Failure")(kind="unavailable", code="SERVICE_UNAVAILABLE", text="Busy.")
    plan = TierPlan("probe", protocol="http" if wire == "http" else "grpc")
    with served(wire, plan) as peer, peer.channel(breaker=breaker) as channel:
        stub = ProbeStub(channel)
        for _ in range(FAILURES):
            for arity in (UNARY, DOWN, UP):
                with pytest.raises(AppError, match="Busy"):
                    ask(stub, arity, request(failure=busy))
        assert not breaker.is_open
        breaker.note(succeeded=False)
        breaker.note(succeeded=False)
        assert ask(stub, UNARY, request())
        # The answer has begun the count anew.
        breaker.note(succeeded=False)
        assert not breaker.is_open


def test_a_peer_that_refuses_because_it_is_full_lives(
    serve: Serve, stub_of: Connect, breaker: Breaker
) -> None:
    go_on, arrived = threading.Event(), threading.Event()

    def wait(text: str, _context: RpcContext) -> str:
        arrived.set()
        go_on.wait(10)
        return text

    stub = stub_of(serve(Arities(wait), max_concurrent_rpcs=1), breaker=breaker)
    first = stub.unary_unary_call.future(StringValue(value="x"))
    assert arrived.wait(10)
    for _ in range(FAILURES + 1):
        assert _refused(lambda: stub.unary_unary("x")).retry_after == 1.0
    assert not breaker.is_open
    go_on.set()
    assert first.result(10).value == "x"


def _slow(serve: Serve, go_on: threading.Event) -> str:
    def wait(text: str, _context: RpcContext) -> str:
        go_on.wait(10)
        return text

    return serve(Arities(wait)).address


@pytest.mark.parametrize(("patience", "opens"), [(0.05, True), (5.0, False)])
def test_lateness_counts_where_the_peer_was_given_time(
    serve: Serve, breaker: Breaker, patience: float, opens: bool
) -> None:
    go_on = threading.Event()
    address = _slow(serve, go_on)
    with grpc.insecure_channel(address) as bare:
        stub = AritiesStub(grpc.intercept_channel(bare, BreakingInterceptor(breaker, patience)))
        for _ in range(FAILURES):
            with pytest.raises(grpc.RpcError) as raised:
                stub.unary_unary("x", timeout=0.1)
            assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    go_on.set()
    assert breaker.is_open is opens


def test_a_peer_that_itself_says_that_it_is_late_is_too_slow(
    serve: Serve, stub_of: Connect, breaker: Breaker
) -> None:
    def fail(_text: str, _context: RpcContext) -> str:
        raise deadline_exceeded()

    stub = stub_of(serve(Arities(fail)), breaker=breaker)
    for _ in range(FAILURES):
        with pytest.raises(AppError) as raised:
            stub.unary_unary("x")
        assert raised.value.kind is Kind.DEADLINE
    assert breaker.is_open


@pytest.mark.parametrize("wire", ["grpc", "http"])
def test_a_stream_that_is_dropped_ends_behind_a_breaker_too(wire: Wire, breaker: Breaker) -> None:
    plan = TierPlan("probe", protocol="http" if wire == "http" else "grpc")
    with served(wire, plan) as peer, peer.channel(breaker=breaker) as channel:
        stub, note = ProbeStub(channel), new_note()
        for _ in range(FAILURES - 1):
            breaker.note(succeeded=False)
        answers = stub.Down(request(note=note, answers=1, wait="WAIT_UNTIL_GONE"), timeout=60)
        next(answers)
        del answers
        # gRPC's own interceptors tie its calls into rings.
        gc.collect()
        eventually(lambda: recall(stub, note).callbacks, what="its callback is called")
        assert not breaker.is_open


def test_a_stream_whose_time_is_over_says_nothing(serve: Serve, breaker: Breaker) -> None:
    go_on = threading.Event()
    address = _slow(serve, go_on)
    with grpc.insecure_channel(address) as bare:
        stub = AritiesStub(grpc.intercept_channel(bare, BreakingInterceptor(breaker, 0.01)))
        for _ in range(FAILURES):
            with pytest.raises(grpc.RpcError):
                stub.unary_stream("x", timeout=0.1)
    go_on.set()
    assert not breaker.is_open


def test_a_call_that_its_caller_cancels_says_nothing(
    serve: Serve, stub_of: Connect, breaker: Breaker
) -> None:
    go_on = threading.Event()

    def wait(text: str, _context: RpcContext) -> str:
        go_on.wait(10)
        return text

    stub = stub_of(serve(Arities(wait)), breaker=breaker)
    for _ in range(FAILURES - 1):
        breaker.note(succeeded=False)
    future = stub.unary_unary_call.future(StringValue(value="x"))
    assert future.cancel()
    eventually(future.done, what="the call has ended")
    go_on.set()
    assert not breaker.is_open
    breaker.note(succeeded=False)
    assert breaker.is_open


def test_health_is_asked_past_an_open_breaker(
    serve: Serve, channel_to: Callable[..., grpc.Channel], breaker: Breaker
) -> None:
    channel = channel_to(serve(), breaker=breaker)
    for _ in range(FAILURES):
        breaker.note(succeeded=False)
    health = health_pb2_grpc.HealthStub(channel)
    asked = health_pb2.HealthCheckRequest(service="")
    assert health.Check(asked).status == health_pb2.HealthCheckResponse.SERVING
    watch = health.Watch(asked)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()
    # That it answers is for the next call to find out.
    assert breaker.is_open
