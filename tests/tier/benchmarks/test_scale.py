"""The benchmark of shops of two sizes, for a moment: that it works, not how fast anything is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.scale.caller import Caller, Request
from benchmarks.scale.operations import OPERATIONS
from benchmarks.scale.results import ScaleResults
from benchmarks.scale.run import ScalePlan, run
from benchmarks.worker import BenchmarkError
from tests.tier.benchmarks.http_server import small_server

SMOKE = ScalePlan(
    sizes=(600, 700), users=5, rounds=1, warm_calls=1, calls=2, store="embedded", seed=3
)


def test_a_run_measures_every_operation_on_both_shops(tmp_path: Path) -> None:
    said: list[str] = []

    results = run(SMOKE, tmp_path, said.append)

    assert results.operations.keys() == OPERATIONS.keys()
    for measured in results.operations.values():
        (one,) = measured.rounds
        assert one.keys() == {600, 700}
        assert min(one.values()) > 0
    assert said[-1] == "round 1 of 1"
    results.write(tmp_path / "scale.json")
    again = ScaleResults.from_dict(json.loads((tmp_path / "scale.json").read_text()))
    assert again.table() == results.table()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}", "503"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"data":[]}', "data"),
        (b"", "RemoteDisconnected"),
    ],
    ids=["an error", "an empty page", "no answer"],
)
def test_an_answer_that_is_not_what_was_asked_for_ends_the_run(answer: bytes, told: str) -> None:
    with (
        small_server(lambda _request: answer) as server,
        Caller(server.url) as caller,
        pytest.raises(BenchmarkError, match=told),
    ):
        caller.time([Request("GET", "/products", answer="lamp")])


def test_each_request_is_timed_and_goes_over_the_same_connection() -> None:
    with small_server() as server, Caller(server.url) as caller:
        latencies = caller.time([Request("POST", "/orders", body={"items": []})] * 3)
    assert len(latencies) == 3
    assert min(latencies) > 0
    assert server.connections == 1
    assert server.lines == ["POST /api/v1/orders HTTP/1.1"] * 3
