"""Connections that wait, and the threads that serve them; over pairs of sockets."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fakes.clock import FakeClock
from tier_runtime.http_connections import IdleConnections, MainLoopCalls, ServingThreads
from tier_runtime.http_server import MAX_CONNECTIONS, most_connections
from tier_runtime.logs import configure_logging

SECONDS = 10


@dataclass(eq=False)
class Connection:
    """What these classes know of gunicorn's."""

    sock: socket.socket
    client: socket.socket
    initialized: bool = False
    timeout: float = 0.0
    queued_at: float = 0.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def idle(clock: FakeClock) -> Iterator[IdleConnections]:
    with contextlib.closing(IdleConnections(clock.monotonic)) as connections:
        yield connections


@pytest.fixture
def connections() -> Iterator[list[Connection]]:
    made = [Connection(*socket.socketpair()) for _ in range(3)]
    yield made
    for connection in made:
        connection.sock.close()
        connection.client.close()


def test_only_what_can_be_read_is_taken_and_each_once(
    idle: IdleConnections, connections: list[Connection]
) -> None:
    for connection in connections:
        idle.add(connection, 75)
    assert idle.take_ready() == []
    connections[1].client.send(b"x")
    assert idle.take_ready() == [connections[1]]
    assert idle.take_ready() == []
    assert len(idle) == 2
    # Unread, so it can be read at once when it is waited for again.
    connections[1].initialized = True
    idle.add(connections[1], 75)
    assert idle.take_ready() == [connections[1]]


def test_who_waits_for_too_long_is_taken_in_order(
    idle: IdleConnections, connections: list[Connection], clock: FakeClock
) -> None:
    for connection in connections:
        idle.add(connection, 75)
        clock.advance(1)
    assert idle.take_late() == []
    clock.advance(73)
    assert idle.take_late() == connections[:2]
    assert idle[0] is connections[2]


def test_a_cap_holds_for_those_that_come_after_it(
    idle: IdleConnections, connections: list[Connection], clock: FakeClock
) -> None:
    idle.add(connections[0], 75)
    idle.cap(2)
    # By a thread that knows of no stop yet.
    idle.add(connections[1], 75)
    clock.advance(1)
    idle.add(connections[2], 75)
    clock.advance(1)
    assert idle.take_late() == connections[:2]
    clock.advance(1)
    assert idle.take_late() == connections[2:]


def test_all_are_taken_when_it_ends(idle: IdleConnections, connections: list[Connection]) -> None:
    for connection in connections:
        idle.add(connection, 75)
    assert idle.take_all() == connections
    assert len(idle) == 0


def test_what_cannot_be_watched_is_not_kept(
    idle: IdleConnections, connections: list[Connection]
) -> None:
    connections[0].sock.close()
    with pytest.raises((OSError, ValueError)):
        idle.add(connections[0], 75)
    idle.close()
    with pytest.raises((OSError, ValueError)):
        idle.add(connections[1], 75)
    assert len(idle) == 0


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3)])
def test_a_faulty_request_costs_no_thread(
    connections: list[Connection], error: BaseException
) -> None:
    log = io.StringIO()
    configure_logging("test", "info", log)
    is_served = threading.Event()

    def serve(connection: Any) -> None:
        if connection is connections[0]:
            raise error
        is_served.set()

    threads = ServingThreads(1, serve)
    threads.start()
    threads.put(connections[0])
    threads.put(connections[1])
    assert is_served.wait(SECONDS)
    threads.shutdown()
    threads.join(SECONDS)
    assert "unexpected_error" in log.getvalue()


def test_threads_end_after_what_is_queued_and_keep_no_process_alive(
    connections: list[Connection],
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    served: list[Any] = []

    def serve(connection: Any) -> None:
        assert threading.current_thread().daemon
        entered.set()
        assert go_on.wait(SECONDS)
        served.append(connection)

    threads = ServingThreads(1, serve)
    threads.start()
    for connection in connections:
        threads.put(connection)
    assert entered.wait(SECONDS)
    threads.shutdown()
    threads.join(0)
    assert served == []
    go_on.set()
    threads.join(SECONDS)
    assert served == connections


def test_calls_for_a_main_loop_that_has_ended_are_written_to_nobody() -> None:
    made: list[int] = []
    calls = MainLoopCalls()
    calls.init()
    calls.defer(made.append, 1)
    calls.run_callbacks(None)
    calls.close()
    # Most likely they get the numbers of its pipe.
    reading, writing = os.pipe()
    try:
        os.set_blocking(reading, False)
        calls.defer(made.append, 2)
        calls.close()
        with pytest.raises(BlockingIOError):
            os.read(reading, 1)
    finally:
        os.close(reading)
        os.close(writing)
    assert made == [1]


@pytest.mark.parametrize(
    ("files", "connections"),
    [(-1, MAX_CONNECTIONS), (1_048_576, MAX_CONNECTIONS), (1024, 768), (64, 48), (1, 1)],
)
def test_a_worker_holds_no_more_connections_than_it_may_have_files(
    files: int, connections: int
) -> None:
    assert most_connections(files) == connections
