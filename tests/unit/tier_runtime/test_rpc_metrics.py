"""What is counted about RPCs, at both of their ends."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from tests.fakes.clock import FakeClock
from tests.metering import Counted
from tests.tier.runtime.arities import SERVICE, Arities, AritiesStub
from tier_runtime.breaker import Breaker
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.context import RpcContext
from tier_runtime.errors import AppError, Kind
from tier_runtime.health import HealthBoard
from tier_runtime.inproc import LocalServer
from tier_runtime.logs import get_logger
from tier_runtime.metrics import series
from tier_runtime.metrics.parts import PEER_REASONS, breaker_meter, peer_meter
from tier_runtime.metrics.rpcs import CalledMeter
from tier_runtime.server import GrpcServerSettings
from tier_runtime.telemetry import Telemetry
from tier_runtime.tier import Tier


class Ends:
    """A server in this process and a stub to it, each with series of its own."""

    def __init__(self, stack: ExitStack, arities: Arities, **settings: Any) -> None:
        self.served, self.called = Counted(), Counted()
        tier = Tier(
            [arities.registration()], HealthBoard(), telemetry=Telemetry(self.served.meters)
        )
        options = GrpcServerSettings(bind="127.0.0.1:0", threads=4, **settings)
        server = LocalServer(tier, options, get_logger("test"))
        server.start()
        stack.callback(server.stop)
        channel = open_channel(
            "inproc:it",
            ChannelSettings(meter=CalledMeter(self.called.meters)),
            in_process={"it": server},
        )
        self.stub = AritiesStub(stack.enter_context(channel))

    def both(self, method: str, code: str) -> tuple[float | None, float | None]:
        """Return how many RPCs ended so, for the server and for the caller."""
        labels = (SERVICE, method, code)
        return (
            self.served.value(series.SERVED, *labels),
            self.called.value(series.CALLED, *labels),
        )


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def test_an_rpc_is_counted_once_at_each_of_its_ends(stack: ExitStack) -> None:
    ends = Ends(stack, Arities())

    ends.stub.unary_unary("a")
    ends.stub.stream_unary(["a", "b"])
    ends.stub.unary_stream("a")
    ends.stub.stream_stream(["a", "b"])

    for method in ("UnaryUnary", "StreamUnary", "UnaryStream", "StreamStream"):
        assert ends.both(method, "OK") == (1, 1), method
        assert ends.served.value(series.SERVED_SECONDS, SERVICE, method) == 1
        assert ends.called.value(series.CALLED_SECONDS, SERVICE, method) == 1
    assert ends.served.value(series.SERVED_IN_FLIGHT) == 0
    assert ends.served.value(series.SERVED_DEADLINE_LEFT, SERVICE) == 4


def test_what_fails_is_counted_by_its_status_code(stack: ExitStack) -> None:
    def fail(text: str, _context: RpcContext) -> str:
        if text == "late":
            raise AppError(Kind.DEADLINE, "DEADLINE_EXCEEDED", "Too late.")
        raise AppError(Kind.MISSING, "NOT_FOUND", "There is none.")

    ends = Ends(stack, Arities(fail))

    for text in ("late", "wrong"):
        with pytest.raises(AppError):
            ends.stub.unary_unary(text)
        with pytest.raises(AppError):
            ends.stub.unary_stream(text)

    for method in ("UnaryUnary", "UnaryStream"):
        assert ends.both(method, "DEADLINE_EXCEEDED") == (1, 1)
        assert ends.both(method, "NOT_FOUND") == (1, 1)
        assert ends.both(method, "OK") == (None, None)


def test_while_it_is_handled_an_rpc_is_in_flight(stack: ExitStack) -> None:
    seen: list[float | None] = []

    def look(text: str, _context: RpcContext) -> str:
        seen.append(ends.served.value(series.SERVED_IN_FLIGHT))
        return text

    ends = Ends(stack, Arities(look))
    ends.stub.unary_unary("a")

    assert seen == [1]


def test_an_rpc_that_came_too_late_is_refused_by_that_reason(stack: ExitStack) -> None:
    ends = Ends(stack, Arities(), min_deadline_seconds=4.0)

    with pytest.raises(AppError):
        ends.stub.unary_unary("a", timeout=3.0)

    assert ends.served.value(series.SERVED_REFUSED, "late") == 1
    assert ends.both("UnaryUnary", "DEADLINE_EXCEEDED") == (1, 1)


def test_a_stream_beyond_the_bound_is_refused_by_that_reason(stack: ExitStack) -> None:
    ends = Ends(stack, Arities(), max_open_streams=1)
    first = iter(ends.stub.unary_stream_call(StringValue(value="a")))
    next(first)

    with pytest.raises(AppError):
        ends.stub.unary_stream("a")

    assert ends.served.value(series.SERVED_REFUSED, "too_many_streams") == 1
    list(first)


def test_a_stream_that_nobody_reads_to_its_end_is_counted_as_cancelled(stack: ExitStack) -> None:
    ends = Ends(stack, Arities())

    stream = ends.stub.unary_stream_call(StringValue(value="a"))
    next(iter(stream))
    del stream
    gc.collect()

    assert ends.called.value(series.CALLED, SERVICE, "UnaryStream", "CANCELLED") == 1


def test_an_rpc_that_is_never_sent_is_counted_by_what_kept_it(stack: ExitStack) -> None:
    called, clock = Counted(), FakeClock()
    breaker = Breaker(clock, 1, 10.0, breaker_meter(called.meters, "next"))
    settings = ChannelSettings(breaker=breaker, meter=CalledMeter(called.meters), max_attempts=1)
    stub = AritiesStub(stack.enter_context(open_channel("grpc://127.0.0.1:1", settings)))
    assert called.value(series.BREAKER_OPEN, "next") == 0
    breaker.note(succeeded=False)

    with pytest.raises(AppError):
        stub.unary_unary("a")
    with pytest.raises(AppError):
        stub.unary_stream("a")
    with pytest.raises(AppError):
        stub.unary_unary("a", timeout=0)

    # Not as INTERNAL, which is what gRPC calls whatever an interceptor raises.
    for method, code in (
        ("UnaryUnary", "UNAVAILABLE"),
        ("UnaryStream", "UNAVAILABLE"),
        ("UnaryUnary", "DEADLINE_EXCEEDED"),
    ):
        assert called.value(series.CALLED, SERVICE, method, code) == 1
    assert called.value(series.BREAKER_OPEN, "next") == 1
    assert called.value(series.BREAKER_OPENED, "next") == 1
    breaker.note(succeeded=True)
    assert called.value(series.BREAKER_OPEN, "next") == 0
    assert called.value(series.BREAKER_OPENED, "next") == 1


def test_health_is_polled_and_not_counted(stack: ExitStack) -> None:
    called = Counted()
    meter = CalledMeter(called.meters)

    assert meter.one_answer("/grpc.health.v1.Health/Check", lambda: 1) == 1
    watch, ended = meter.many_answers("/grpc.health.v1.Health/Watch", lambda: 2)
    ended(grpc.StatusCode.OK)
    assert watch == 2
    assert called.all_labels(series.CALLED) == set()


def test_a_peer_is_refused_for_one_of_few_reasons() -> None:
    counted = Counted()
    tell = peer_meter(counted.meters)
    assert {counted.value(series.PEERS_REFUSED, reason) for reason in PEER_REASONS} == {0}

    tell("handshake")
    tell("CN=made up by a stranger")
    tell("CN=and again")
    peer_meter(None)("nobody counts this")

    labels = {("peer",), ("write",), ("handshake",), ("other",)}
    assert counted.all_labels(series.PEERS_REFUSED) == labels
    assert counted.value(series.PEERS_REFUSED, "handshake") == 1
    assert counted.value(series.PEERS_REFUSED, "other") == 2


def test_without_meters_a_breaker_tells_nobody() -> None:
    breaker_meter(None, "next")(True)


def test_codes_of_grpc_are_the_labels(stack: ExitStack) -> None:
    ends = Ends(stack, Arities())
    ends.stub.unary_unary("a")

    codes = {code for _, _, code in ends.called.all_labels(series.CALLED)}
    assert codes <= {code.name for code in grpc.StatusCode}
