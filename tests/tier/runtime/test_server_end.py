from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from tests.stores.waiting import eventually
from tests.tier.runtime.arities import METHODS, AritiesStub
from tier_runtime.channel import open_channel
from tier_runtime.errors import AppError


class Program:
    """The program of `drained_program` and what it has logged."""

    def __init__(
        self, bind: str = "127.0.0.1:0", notserving_wait: float = 0.0, drain: float = 30.0
    ) -> None:
        self.lines: list[dict[str, Any]] = []
        self._incoming: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "tests.tier.runtime.drained_program"),
                *(bind, str(notserving_wait), str(drain)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._incoming.put(line)

    def logged(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until it has logged so many of these events."""

        def found() -> list[dict[str, Any]]:
            while not self._incoming.empty():
                self.lines.append(json.loads(self._incoming.get()))
            matching = [line for line in self.lines if line["event"] == event]
            return matching if len(matching) >= count else []

        return eventually(found, seconds=30, what=f"{count} of {event} in the log")

    def stub(self) -> AritiesStub:
        (line,) = self.logged("serving")
        self.channel = open_channel(f"grpc://{line['address']}")
        return AritiesStub(self.channel)

    def ended(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and what it wrote to stderr."""
        code = self.process.wait(timeout=30)
        self._reader.join(timeout=10)
        assert self.process.stderr is not None
        return code, self.process.stderr.read()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        if hasattr(self, "channel"):
            self.channel.close()


Start = Callable[..., Program]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(**arguments: Any) -> Program:
            program = Program(**arguments)
            stack.callback(program.close)
            return program

        yield begin


def in_background(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except AppError as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


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
