"""Several processes of one tier, and the supervisor that forks them."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from tests.stores.waiting import eventually
from tests.tier.runtime.arities import AritiesStub
from tests.tier.runtime.programs import Program, in_background
from tier_runtime.addresses import Address
from tier_runtime.channel import open_channel
from tier_runtime.errors import AppError
from tier_runtime.tier import worker_bind

Start = Callable[..., Program]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(workers: int, bind: str = "127.0.0.1:0") -> Program:
            program = Program("workers_program", bind, str(workers))
            stack.callback(program.close)
            return program

        yield begin


def addresses(program: Program, count: int) -> list[str]:
    """Wait until so many have said where they serve, once each."""
    return [line["address"] for line in program.logged("serving", count)]


def test_calls_are_spread_evenly_over_the_workers(start: Start) -> None:
    program = start(workers=3)
    with open_channel(f"grpc://{','.join(addresses(program, 3))}") as channel:
        stub = AritiesStub(channel)
        # Connected to one after the other.
        eventually(lambda: len({stub.unary_unary("x") for _ in range(6)}) == 3)
        counts = Counter(stub.unary_unary("x") for _ in range(30))
    assert sorted(counts.values()) == [10, 10, 10]
    assert program.process.pid not in map(int, counts)


def test_each_worker_has_a_port_of_its_own() -> None:
    assert worker_bind("127.0.0.1:50051", 0) == "127.0.0.1:50051"
    assert worker_bind("[::1]:50051", 3) == "[::1]:50351"
    assert worker_bind("127.0.0.1:0", 3) == "127.0.0.1:0"


def test_workers_listen_a_hundred_ports_apart(start: Start) -> None:
    first = next(
        port
        for port in range(21000, 30000, 7)
        if all(Address("127.0.0.1", port + more).is_free() for more in (0, 100))
    )
    program = start(workers=2, bind=f"127.0.0.1:{first}")
    assert sorted(addresses(program, 2)) == [f"127.0.0.1:{first}", f"127.0.0.1:{first + 100}"]


def test_a_worker_that_ends_is_started_again_and_the_others_serve_on(start: Start) -> None:
    program = start(workers=2)
    first, second = addresses(program, 2)
    with open_channel(f"grpc://{second}") as other, open_channel(f"grpc://{first}") as channel:
        assert AritiesStub(other).unary_unary("x")
        with pytest.raises(AppError):
            AritiesStub(channel).unary_unary("end")
        (ended,) = program.logged("worker_ended")
        assert (ended["worker"], ended["exit_code"]) == (0, 9)
        again = program.logged("serving", 3)[2]
        assert again["worker"] == 0
        with open_channel(f"grpc://{again['address']}") as successor:
            assert AritiesStub(successor).unary_unary("x")
        assert AritiesStub(other).unary_unary("x")


def stopped_by(program: Program, send: Callable[[], None]) -> None:
    """Send a signal while every worker has a call in flight, and see how all of it ends."""
    with ExitStack() as stack:
        running = []
        for address in addresses(program, 2):
            stub = AritiesStub(stack.enter_context(open_channel(f"grpc://{address}")))
            call = partial(stub.unary_unary, "until draining", timeout=30)
            running.append(in_background(call))
        program.logged("entered", count=2)
        send()
        for thread, results in running:
            thread.join(timeout=30)
            assert not isinstance(results[0], AppError)
    assert program.ended() == (0, "")
    assert len({line["pid"] for line in program.logged("pools_closed", 2)}) == 2
    (ended,) = program.logged("workers_ended")
    assert ended["exit_code"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_loses_no_call_in_flight(start: Start, number: signal.Signals) -> None:
    program = start(workers=2)
    stopped_by(program, lambda: program.process.send_signal(number))


def test_a_terminal_s_interrupt_of_all_processes_loses_no_call(start: Start) -> None:
    program = start(workers=2)
    stopped_by(program, lambda: os.killpg(program.process.pid, signal.SIGINT))


def test_a_second_signal_stops_at_once(start: Start) -> None:
    program = start(workers=2)
    with ExitStack() as stack:
        (first, _) = addresses(program, 2)
        stub = AritiesStub(stack.enter_context(open_channel(f"grpc://{first}")))
        thread, results = in_background(lambda: stub.unary_unary("until cancelled", timeout=60))
        program.logged("entered")
        program.process.send_signal(signal.SIGTERM)
        program.logged("draining", 2)
        program.process.send_signal(signal.SIGTERM)
        assert program.ended() == (0, "")
        thread.join(timeout=30)
        assert isinstance(results[0], AppError)


def test_what_keeps_the_first_from_starting_is_told_once_and_ends_all(start: Start) -> None:
    with Address("127.0.0.1", 0).listener() as taken:
        taken.listen(1)
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        code, stderr = start(workers=3, bind=bind).ended()
    assert (code, stderr) == (2, f"Cannot listen on {bind}: Address already in use.\n")


def test_workers_end_with_a_supervisor_that_is_killed(start: Start) -> None:
    program = start(workers=2)
    addresses(program, 2)
    program.process.kill()
    assert len(program.logged("stopped", 2)) == 2
