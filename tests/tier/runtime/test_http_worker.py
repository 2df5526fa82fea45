"""The life of an HTTP worker: what goes wrong in it costs no more than it must."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.stores.waiting import eventually
from tests.tier.runtime.programs import Program

SECONDS = 20

Start = Callable[..., "Server"]


class Server(Program):
    """The program, and how to ask it."""

    def __init__(self, threads: int, max_in_flight: int, idle: int, age: float) -> None:
        told = map(str, (threads, max_in_flight, idle, age))
        super().__init__("http_worker_program", *told)

    @property
    def address(self) -> tuple[str, int]:
        (line,) = self.logged("serving")
        host, _, port = line["address"].rpartition(":")
        return host, int(port)

    @property
    def workers(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.process.pid).children()}

    @contextlib.contextmanager
    def connection(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection(*self.address, timeout=SECONDS)
        with contextlib.closing(connection):
            yield connection

    def ask(self, path: str) -> int:
        """Ask by a connection of its own; return which process answered."""
        with self.connection() as connection:
            return asked(connection, path)


def asked(connection: http.client.HTTPConnection, path: str) -> int:
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200
    return int(answer.read())


def raw_answer(connection: socket.socket) -> http.client.HTTPResponse:
    """Ask by a connection that only the server ends, as it says so or not."""
    connection.sendall(b"GET /pid HTTP/1.1\r\nHost: tier\r\n\r\n")
    answer = http.client.HTTPResponse(connection, method="GET")
    answer.begin()
    assert answer.status == 200
    return answer


@pytest.fixture
def start() -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def begin(
            threads: int = 4, max_in_flight: int = 0, idle: int = 75, age: float = math.inf
        ) -> Server:
            server = Server(threads, max_in_flight, idle, age)
            stack.callback(server.close)
            return server

        yield begin


def test_a_main_loop_that_fails_takes_its_worker_away_at_once(start: Start) -> None:
    server = start()
    before = server.ask("/pid")
    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(server.ask, "/wait")
        server.logged("entered")
        server.ask("/break")
        # Well below the heartbeat, after which the master would kill it.
        eventually(lambda: before not in server.workers, SECONDS, "the worker's end")
        assert isinstance(stuck.exception(SECONDS), (http.client.HTTPException, OSError))
    assert server.ask("/pid") != before


def test_a_main_loop_that_fails_lets_requests_in_flight_end(start: Start) -> None:
    server = start()
    with ThreadPoolExecutor(1) as pool:
        going_on = pool.submit(server.ask, "/wait")
        server.logged("entered")
        before = server.ask("/break?end")
        assert going_on.result(SECONDS) == before
    assert server.ask("/pid") != before


def test_a_request_that_ends_like_a_program_costs_no_thread(start: Start) -> None:
    server = start(threads=1)
    before = server.ask("/pid")
    for _ in range(2):
        with pytest.raises(http.client.RemoteDisconnected):
            server.ask("/exit")
    assert server.ask("/pid") == before
    assert len(server.logged("unexpected_error", 2)) == 2


def test_a_worker_without_file_descriptors_serves_whom_it_has_and_recovers(start: Start) -> None:
    server = start()
    with server.connection() as kept, contextlib.ExitStack() as opened:
        before = asked(kept, "/pid")
        asked(kept, "/files?2")
        for _ in range(8):
            opened.enter_context(socket.create_connection(server.address, SECONDS))
        # More than once: it has tried again.
        lines = server.logged("accepting_paused", 2)
        assert lines[0]["error"] == "Too many open files"
        assert asked(kept, "/pid") == before
        asked(kept, "/files")
        assert server.ask("/pid") == before
    assert server.workers == {before}
    assert not [line for line in server.lines if line["level"] == "error"]


def test_the_newest_request_is_refused_while_the_threads_are_taken(start: Start) -> None:
    server = start(threads=1, max_in_flight=2)
    with ThreadPoolExecutor(1) as pool, server.connection() as queued:
        first = pool.submit(server.ask, "/wait")
        server.logged("entered")
        queued.request("GET", "/pid")
        for _ in range(2):
            with server.connection() as connection:
                connection.request("GET", "/pid")
                refused = connection.getresponse()
                assert (refused.status, refused.getheader("Retry-After")) == (503, "1")
                assert refused.getheader("Connection") == "close"
                assert json.loads(refused.read())["code"] == 8
        assert server.logged("request_refused", 2)[0]["reason"] == "overload"
        assert not first.done()
        server.process.send_signal(signal.SIGTERM)
        # Both came earlier.
        assert queued.getresponse().status == 200
        assert first.result(SECONDS)


def test_what_the_kernel_watches_belongs_to_the_worker_alone(start: Start) -> None:
    server = start()
    worker = server.ask("/pid")

    def watches(pid: int) -> int:
        links = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        return links.count("anon_inode:[eventpoll]")

    assert watches(server.process.pid) == 0
    assert watches(worker) == 2


def test_a_stop_in_the_middle_of_a_request_leaves_no_traceback(start: Start) -> None:
    server = start()
    with server.connection() as waiting, server.connection() as idle:
        asked(idle, "/pid")
        waiting.request("GET", "/wait")
        server.logged("entered")
        server.process.send_signal(signal.SIGTERM)
        assert waiting.getresponse().status == 200
        code, stderr = server.ended()
    assert (code, stderr) == (0, "")


def test_a_connection_that_is_old_ends_with_the_next_answer_which_says_so(start: Start) -> None:
    age = 2.0
    server = start(age=age)
    # Before the server can know of the connection.
    began = time.monotonic()
    with socket.create_connection(server.address, SECONDS) as connection:
        answers = []

        def is_last() -> bool:
            answer = raw_answer(connection)
            answers.append(int(answer.read()))
            return answer.getheader("Connection") == "close"

        eventually(is_last, SECONDS)
        # Not before: the program's source of ages draws the most, a tenth more.
        assert time.monotonic() - began >= 1.1 * age
        assert len(answers) > 1
        assert set(answers) == server.workers
        assert connection.recv(1) == b""


def test_a_connection_has_no_age_where_none_is_set(start: Start) -> None:
    server = start()
    with server.connection() as kept:
        for _ in range(20):
            asked(kept, "/pid")
            assert kept.sock is not None


def test_an_old_connection_without_a_request_ends_when_it_was_idle_for_long_and_not_before(
    start: Start,
) -> None:
    idle = 1
    server = start(idle=idle, age=0.1)
    began = time.monotonic()
    with socket.create_connection(server.address, SECONDS) as silent:
        assert silent.recv(1) == b""
        assert time.monotonic() - began >= idle


def test_a_connection_that_was_used_ends_when_it_is_idle_for_long_however_young(
    start: Start,
) -> None:
    idle = 1
    server = start(idle=idle, age=3600.0)
    with socket.create_connection(server.address, SECONDS) as used:
        began = time.monotonic()
        answer = raw_answer(used)
        assert answer.getheader("Connection") != "close"
        answer.read()
        assert used.recv(1) == b""
        assert time.monotonic() - began >= idle
