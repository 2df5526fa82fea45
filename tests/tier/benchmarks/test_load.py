from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from benchmarks.cpu import CpuMeter, family
from benchmarks.load import HttpLoad, HttpLoadRun, HttpRequest, LoadWorker
from benchmarks.samples import Sample
from benchmarks.worker import BenchmarkError, Worker
from tests.tier.benchmarks.http_server import OK, SmallServer, small_server

READS = [HttpRequest("GET", f"/users/{number}") for number in range(6)]
WRITES = [HttpRequest("PATCH", f"/users/{number}", '{"name": "x"}') for number in range(6)]
SECONDS = 0.05


def load(server: SmallServer, connections: int = 2, writes: bool = False) -> HttpLoad:
    headers = [{"Authorization": f"Bearer {number}"} for number in range(connections)]
    return HttpLoad(server.url, READS, headers, WRITES if writes else [])


def measured(load: HttpLoad) -> tuple[Sample, HttpLoadRun]:
    with HttpLoadRun(load) as run:
        return run.measure(0.01, SECONDS, CpuMeter({}, "load")), run


def test_every_connection_is_kept_and_goes_through_its_own_share() -> None:
    with small_server() as server:
        sample, run = measured(load(server))
    assert server.connections == 2
    assert sample.count > 0
    assert run.answered == len(server.requests)
    assert run.received == len(OK) * run.answered
    assert run.sent == sum(map(len, server.requests))
    asked: dict[str, set[str]] = {"0": set(), "1": set()}
    for request in server.requests:
        number = request.partition("Bearer ")[2][0]
        asked[number].add(request.partition(" HTTP")[0])
    assert asked["0"] <= {f"GET /users/{number}" for number in (0, 2, 4)}
    assert asked["1"] <= {f"GET /users/{number}" for number in (1, 3, 5)}


def test_every_tenth_request_is_a_write_with_its_body() -> None:
    with small_server() as server:
        measured(load(server, connections=1, writes=True))
    places = [at for at, line in enumerate(server.lines) if line.startswith("PATCH")]
    assert len(places) > 1
    assert {later - sooner for sooner, later in itertools.pairwise(places)} == {10}
    assert server.requests[places[0]].endswith('Content-Length: 13\r\n\r\n{"name": "x"}')


def test_an_answer_may_have_a_body_or_none() -> None:
    longer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
    answers = itertools.cycle([longer, OK])
    with small_server(lambda _request: next(answers)) as server:
        sample, _ = measured(load(server, connections=1))
    assert sample.count > 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "not a success"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "not a success"),
        (b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n", "not a success"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "without a length"),
        (OK + b"x", "more than one answer"),
        (b"", "closed a connection"),
    ],
)
def test_anything_but_a_whole_success_ends_the_run(answer: bytes, reason: str) -> None:
    with (
        small_server(lambda _request: answer) as server,
        pytest.raises(BenchmarkError, match=reason),
    ):
        measured(load(server, connections=1))


def test_a_load_needs_a_port() -> None:
    with pytest.raises(BenchmarkError, match="host and a port"):
        HttpLoadRun(HttpLoad("http://localhost", READS, [{}]))


def test_no_two_connections_may_share_a_request() -> None:
    with pytest.raises(BenchmarkError, match="too few requests for 7 connections"):
        HttpLoadRun(HttpLoad("http://127.0.0.1:1", READS, [{}] * 7))


def test_the_worker_knows_loads_by_name_and_uses_as_many_connections_as_told() -> None:
    worker = LoadWorker()
    with small_server() as server:
        worker.know(
            {
                "name": "small",
                "url": server.url,
                "requests": [["GET", "/a"], ["GET", "/b"]],
                "writes": [],
                "headers": [{}, {}, {}],
            }
        )
        told = worker.run(
            {
                "name": "small",
                "connections": 2,
                "seed": 3,
                "warm": 0.0,
                "seconds": SECONDS,
                "pids": {},
            }
        )
        assert server.connections == 2
        moved = worker.calls({"name": "small", "connections": 1, "seed": 3, "seconds": SECONDS})
        assert server.connections == 3
    assert Sample.from_dict(told).count > 0
    assert moved["down"] == moved["calls"] * len(OK)


def test_a_worker_process_answers_commands_and_tells_faults(tmp_path: Path) -> None:
    with (
        small_server() as server,
        Worker(["benchmarks.load"], os.environ, tmp_path / "log") as worker,
    ):
        worker.ask(
            "know", name="small", url=server.url, requests=[["GET", "/"]], writes=[], headers=[{}]
        )
        assert worker.ask("calls", name="small", connections=1, seed=1, seconds=SECONDS)["calls"]
        server.answer = lambda _request: b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
        with pytest.raises(BenchmarkError, match="500 Oh"):
            worker.ask("calls", name="small", connections=1, seed=1, seconds=SECONDS)
        assert family(worker.pid) == [worker.pid]


def test_a_worker_process_that_ends_says_why(tmp_path: Path) -> None:
    with (
        Worker(["benchmarks.load"], os.environ, tmp_path / "log") as worker,
        pytest.raises(BenchmarkError, match="KeyError: 'no such command'"),
    ):
        worker.ask("no such command")
