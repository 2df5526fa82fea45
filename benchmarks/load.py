"""An HTTP load generator that costs little: one thread, raw sockets, requests built beforehand.

Each connection is kept alive and sends its next request as soon as the answer before is whole (a
closed loop). The clock of a request runs from handing it to the kernel until its answer's last
byte. Anything but a whole answer with status 200, and with what was asked for in its body, ends the
run.

`python -m benchmarks.load` serves the commands of `benchmarks.worker` over stdin and stdout.
"""

from __future__ import annotations

import itertools
import random
import selectors
import socket
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from benchmarks.cpu import CpuMeter
from benchmarks.samples import Sample
from benchmarks.worker import BenchmarkError, serve_commands

_RECEIVED_AT_ONCE = 65_536
# What "90/10" means.
WRITE_EVERY = 10
# Longer than any deadline of the edge: whatever takes this long is a fault.
PATIENCE_SECONDS = 15.0


class Prepared(NamedTuple):
    """A request as bytes: before and after the connection's own headers, and what is awaited."""

    head: bytes
    tail: bytes
    answer: bytes


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request of a load, without the headers that its connection adds.

    Attributes:
        answer: what the body of its answer must hold.
    """

    method: str
    path: str
    body: str = ""
    answer: str = ""

    def prepared(self, host: str) -> Prepared:
        """Return it as bytes."""
        return Prepared(*self._halves(host), self.answer.encode())

    def _halves(self, host: str) -> tuple[bytes, bytes]:
        head = f"{self.method} {self.path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n"
        if not self.body:
            return head.encode(), b"\r\n"
        body = self.body.encode()
        described = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode(), described.encode() + body


@dataclass(frozen=True, slots=True)
class HttpLoad:
    """What is asked, and over which connections.

    Attributes:
        url: scheme, host and port of the server.
        requests: each connection has its share of them and goes through it again and again, in an
            order of its own; so no two connections ever ask for the same at the same time.
        headers: one mapping for each connection.
        writes: shared out alike; every tenth request is one of them. Empty: none is.
    """

    url: str
    requests: Sequence[HttpRequest]
    headers: Sequence[Mapping[str, str]]
    writes: Sequence[HttpRequest] = ()
    seed: int = 1


class _Connection:
    """One kept-alive connection with the answer that is on its way."""

    __slots__ = ("_awaited", "_headers", "_turns", "received", "sent_at", "socket", "wanted")

    def __init__(self, address: tuple[str, int], headers: bytes, turns: Iterator[Prepared]) -> None:
        self.socket = socket.create_connection(address, PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self._headers = headers
        self._turns = turns
        self._awaited = b""
        self.received = bytearray()
        # Length of the whole answer; 0 until its head has been read.
        self.wanted = 0
        self.sent_at = 0.0

    def send_next(self) -> int:
        """Send the next request and return its length."""
        head, tail, self._awaited = next(self._turns)
        data = head + self._headers + tail
        self.received.clear()
        self.wanted = 0
        self.sent_at = time.perf_counter()
        # A request is far smaller than the send buffer of an idle connection.
        if self.socket.send(data) != len(data):
            raise BenchmarkError("the kernel did not take a whole request")
        return len(data)

    def receive(self) -> bool:
        """Take what has come; True when the answer is whole."""
        data = self.socket.recv(_RECEIVED_AT_ONCE)
        if not data:
            raise BenchmarkError(f"the server closed a connection after {bytes(self.received)!r}")
        self.received += data
        if not self.wanted:
            self.wanted = _length_of(self.received)
        if self.wanted and len(self.received) > self.wanted:
            raise BenchmarkError("the server sent more than one answer")
        return 0 < self.wanted == len(self.received)

    def check(self) -> None:
        """Look at the whole answer.

        Raises:
            BenchmarkError: it is not what was asked for.
        """
        check_answer(self.received, self._awaited)


class HttpLoadRun:
    """Opens the connections; `measure` keeps all of them busy. Use as a context manager."""

    def __init__(self, load: HttpLoad) -> None:
        parts = urlsplit(load.url)
        if not parts.hostname or not parts.port:
            raise BenchmarkError(f"a load needs a host and a port: {load.url}")
        host = f"{parts.hostname}:{parts.port}"
        reads = [request.prepared(host) for request in load.requests]
        writes = [request.prepared(host) for request in load.writes]
        count = len(load.headers)
        if len(reads) < count or 0 < len(writes) < count:
            raise BenchmarkError(f"too few requests for {count} connections to have each its own")
        dice = random.Random(load.seed)  # noqa: S311 - an order of requests, no secret.
        self._selector = selectors.DefaultSelector()
        self._connections = []
        for number, headers in enumerate(load.headers):
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            turns = _turns(reads[number::count], writes[number::count], dice)
            connection = _Connection((parts.hostname, parts.port), lines.encode(), turns)
            self._connections.append(connection)
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        # Of all that was sent and answered, in bytes and in requests.
        self.sent = 0
        self.received = 0
        self.answered = 0

    def __enter__(self) -> HttpLoadRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._selector.close()
        for connection in self._connections:
            connection.socket.close()

    def measure(self, warm_seconds: float, seconds: float, meter: CpuMeter) -> Sample:
        """Warm up, then measure for a time, and let what is in flight end.

        What is counted are the answers that came within the measured time, so neither the start
        nor the end of the load is in the figures.

        Raises:
            BenchmarkError: an answer was not whole, not what was asked for, or did not come.
        """
        for connection in self._connections:
            self.sent += connection.send_next()
        self._keep_busy(time.perf_counter() + warm_seconds)
        meter.begin()
        began = time.perf_counter()
        latencies = self._keep_busy(began + seconds)
        elapsed = time.perf_counter() - began
        cpu = meter.end()
        self._let_end()
        return Sample(elapsed, latencies, cpu)

    def _keep_busy(self, until: float) -> array[int]:
        latencies = array("I")
        clock, select = time.perf_counter, self._selector.select
        while (now := clock()) < until:
            for key, _ in select(until - now):
                connection: _Connection = key.data
                if connection.receive():
                    latencies.append(int((clock() - connection.sent_at) * 1e6))
                    self._take(connection)
                    self.sent += connection.send_next()
        return latencies

    def _let_end(self) -> None:
        waiting = len(self._connections)
        while waiting:
            events = self._selector.select(PATIENCE_SECONDS)
            if not events:
                raise BenchmarkError(f"an answer did not come within {PATIENCE_SECONDS:g} s")
            for key, _ in events:
                connection: _Connection = key.data
                if connection.receive():
                    self._take(connection)
                    waiting -= 1

    def _take(self, connection: _Connection) -> None:
        connection.check()
        self.received += len(connection.received)
        self.answered += 1


def _turns(
    reads: Sequence[Prepared],
    writes: Sequence[Prepared],
    dice: random.Random,
) -> Iterator[Prepared]:
    """Yield a connection's requests without end."""
    read = itertools.cycle(dice.sample(reads, len(reads)))
    if not writes:
        yield from read
    write = itertools.cycle(dice.sample(writes, len(writes)))
    # Connections that all write at the same time would be a load of their own kind.
    for number in itertools.count(dice.randrange(WRITE_EVERY)):
        yield next(write if number % WRITE_EVERY == 0 else read)


def check_answer(received: bytes | bytearray, awaited: bytes) -> None:
    """Look at a whole answer: an empty page that comes quickly is no answer.

    Raises:
        BenchmarkError: its status is not 200, or its body does not hold what is awaited.
    """
    # "HTTP/1.1 200": the status begins at the tenth byte.
    if received[9:12] != b"200":
        raise BenchmarkError(f"not a success: {bytes(received[:600])!r}")
    # A header may name the path, and so the id.
    if received.find(awaited, received.find(b"\r\n\r\n")) < 0:
        raise BenchmarkError(f"not the answer to {awaited!r}: {bytes(received[:600])!r}")


def _length_of(received: bytearray) -> int:
    """Return the length of the whole answer, 0 while its head has not come.

    Raises:
        BenchmarkError: the head does not tell the length of the body.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return 0
    head = bytes(received[:end]).lower()
    place = head.find(b"\r\ncontent-length:")
    if place < 0:
        raise BenchmarkError(f"an answer without a length: {head!r}")
    line_end = head.find(b"\r\n", place + 2)
    length = head[place + 17 : line_end if line_end > 0 else None]
    return end + 4 + int(length)


def load_from_command(command: Mapping[str, Any]) -> HttpLoad:
    """Return the load that a command describes."""
    return HttpLoad(
        url=command["url"],
        requests=[HttpRequest(*request) for request in command["requests"]],
        headers=command["headers"],
        writes=[HttpRequest(*request) for request in command["writes"]],
    )


class LoadWorker:
    """Answers the commands of the harness. What is asked stays until it is told anew."""

    def __init__(self) -> None:
        self._known: dict[str, HttpLoad] = {}

    def know(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Remember a load under a name."""
        self._known[command["name"]] = load_from_command(command)
        return {}

    def run(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Run a known load over some of its connections, and tell what was measured."""
        meter = CpuMeter(command["pids"], "load")
        with self._opened(command) as run:
            return run.measure(command["warm"], command["seconds"], meter).to_dict()

    def calls(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Run a known load, and tell how many requests and bytes that was, from start to end."""
        with self._opened(command) as run:
            run.measure(0.0, command["seconds"], CpuMeter({}))
            return {"calls": run.answered, "up": run.sent, "down": run.received}

    def _opened(self, command: Mapping[str, Any]) -> HttpLoadRun:
        whole = self._known[command["name"]]
        load = replace(whole, headers=whole.headers[: command["connections"]], seed=command["seed"])
        return HttpLoadRun(load)


if __name__ == "__main__":
    worker = LoadWorker()
    serve_commands({"know": worker.know, "run": worker.run, "calls": worker.calls})
