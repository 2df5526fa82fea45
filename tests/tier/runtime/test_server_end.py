from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from tests.stores.waiting import eventually
from tests.tier.runtime.arities import METHODS, AritiesStub
from tests.tier.runtime.programs import Program, in_background
from tier_runtime.errors import AppError

Start = Callable[..., Program]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(
            bind: str = "127.0.0.1:0", notserving_wait: float = 0.0, drain: float = 30.0
        ) -> Program:
            program = Program("drained_program", bind, str(notserving_wait), str(drain))
            stack.callback(program.close)
            return program

        yield begin


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_loses_no_call_in_flight_of_any_arity(
    start: Start, number: signal.Signals
) -> None:
    program = start()
    stub = program.stub()

    def calling(method: str) -> Callable[[], list[str]]:
        return lambda: stub.call(method, "until draining", timeout=30)

    # Some of each arity, all of them in their handlers when the signal comes.
    running = [in_background(calling(method)) for method in METHODS * 2]
    program.logged("entered", count=len(running))
    program.process.send_signal(number)
    for thread, results in running:
        thread.join(timeout=30)
        assert not isinstance(results[0], AppError)
        assert set(results[0]) == {"until draining"}
    code, stderr = program.ended()
    assert code == 0
    assert stderr == ""
    program.logged("files_closed")
    events = [line["event"] for line in program.lines if line["event"] not in ("entered", "rpc")]
    assert events == ["serving", "draining", "stopped", "pools_closed", "files_closed"]


def test_calls_that_come_during_the_short_wait_are_still_answered(start: Start) -> None:
    program = start(notserving_wait=30.0)
    stub = program.stub()
    assert stub.unary_unary("x") == "x"
    program.process.send_signal(signal.SIGTERM)
    program.logged("draining")
    assert stub.unary_unary("still") == "still"
    # A second signal ends the wait.
    program.process.send_signal(signal.SIGTERM)
    assert program.ended() == (0, "")


def test_a_second_signal_stops_at_once(start: Start) -> None:
    program = start(drain=60.0)
    stub = program.stub()
    thread, results = in_background(lambda: stub.unary_unary("until cancelled", timeout=60))
    program.logged("entered")
    program.process.send_signal(signal.SIGTERM)
    program.logged("draining")
    program.process.send_signal(signal.SIGINT)
    assert program.ended() == (0, "")
    thread.join(timeout=30)
    assert isinstance(results[0], AppError)
    program.logged("files_closed")


def test_a_call_that_outlasts_the_drain_is_cancelled(start: Start) -> None:
    program = start(drain=0.2)
    stub = program.stub()
    thread, results = in_background(lambda: stub.unary_unary("until cancelled", timeout=60))
    program.logged("entered")
    program.process.send_signal(signal.SIGTERM)
    assert program.ended() == (0, "")
    thread.join(timeout=30)
    assert isinstance(results[0], AppError)


def test_health_says_not_serving_before_anything_ends(start: Start) -> None:
    from grpc_health.v1 import (  # type: ignore[import-untyped]  # noqa: PLC0415 # no types
        health_pb2,
        health_pb2_grpc,
    )

    program = start(notserving_wait=30.0)
    program.stub()
    (line,) = program.logged("serving")
    with grpc.insecure_channel(line["address"]) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        program.process.send_signal(signal.SIGTERM)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
    program.process.send_signal(signal.SIGTERM)
    assert program.ended() == (0, "")


def test_a_taken_port_is_one_clear_line_and_exit_code_2(start: Start) -> None:
    first = start()
    (line,) = first.logged("serving")
    code, stderr = start(bind=line["address"]).ended()
    assert code == 2
    assert stderr == f"Cannot listen on {line['address']}: Address already in use.\n"


def test_the_channel_finds_a_restarted_server_within_two_seconds(start: Start) -> None:
    first = start()
    stub = first.stub()
    assert stub.unary_unary("x") == "x"
    (line,) = first.logged("serving")
    first.process.kill()
    first.process.wait()
    with pytest.raises(AppError):
        stub.unary_unary_call(StringValue(value="x"), timeout=1)
    second = start(bind=line["address"])
    second.logged("serving")
    eventually(lambda: _answers(stub), seconds=2.0, what="an answer of the restarted server")


def _answers(stub: AritiesStub) -> bool:
    try:
        return stub.unary_unary("x") == "x"
    except AppError:
        return False
