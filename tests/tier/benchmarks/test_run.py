"""The benchmark as a whole, for a moment: that it works, not how fast anything is."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import grpc
import pytest

from benchmarks.headline import headline_of
from benchmarks.plan import (
    CREATE,
    GET_BY_EMAIL,
    GET_BY_ID,
    GRPC_PLAIN,
    INPROC,
    LIST_20,
    MIX,
    MONOLITH_PLAIN,
    READS,
    REST_BEST,
    REST_NAIVE,
    UPDATE,
    Block,
    Cell,
    Plan,
)
from benchmarks.ports import HIGHEST, LOWEST, free_ports
from benchmarks.report import write_report
from benchmarks.rest_channels import LeanConnections
from benchmarks.run import run
from benchmarks.stores import populated
from tier_runtime.local_rpc import LocalRpcError
from tier_runtime.rest.connections import Outgoing
from tier_runtime.rest.flight import Flight

HOP = (GRPC_PLAIN, REST_BEST, INPROC)
CHAIN = (REST_NAIVE, MONOLITH_PLAIN)


def moment(*cells: Cell) -> Block:
    return Block(cells, 1, 0.02, 0.1)


SMOKE = Plan(
    "smoke",
    (
        moment(
            *(
                Cell("hop", "embedded", operation, 2, HOP)
                for operation in (GET_BY_ID, GET_BY_EMAIL, LIST_20, CREATE, UPDATE)
            )
        ),
        moment(
            Cell("chain", "embedded", READS, 2, CHAIN), Cell("chain", "embedded", MIX, 2, CHAIN)
        ),
    ),
    people=64,
    wire_calls=16,
    wire_operations=(GET_BY_ID,),
    wire_chain=False,
)


class Silence:
    """Takes note of how far a run has come."""

    def __init__(self) -> None:
        self.turns = 0

    def stage(self, text: str) -> None:
        """Do nothing."""

    def turn(self, text: str) -> None:
        self.turns += 1


# It starts a dozen processes.
@pytest.mark.timeout(240)
def test_a_run_measures_every_variant_and_can_be_reported(tmp_path: Path) -> None:
    progress = Silence()
    results = run(SMOKE, tmp_path / "run", progress)
    assert progress.turns == sum(block.turns for block in SMOKE.blocks)
    for cell in SMOKE.cells:
        for variant in cell.variants:
            (sample,) = results.samples[cell, variant]
            assert sample.count > 0
            assert all(sample.latencies_us)
    tiers = set(results.samples[SMOKE.cells[-1], REST_NAIVE][0].cpu_seconds)
    assert tiers == {"repository", "service", "controller", "load"}
    assert {(each.variant, each.callers) for each in results.wire} == {
        (GRPC_PLAIN, 16),
        (REST_BEST, 16),
    }
    assert all(each.up > 20 and each.down > 20 for each in results.wire)
    write_report(results, tmp_path / "report")
    document = json.loads((tmp_path / "report" / "latest.json").read_text())
    assert document["headline"] == headline_of(results)


def test_real_stores_are_filled_and_shared_by_all_variants(
    mysql_server_url: str, redis_server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", mysql_server_url)
    monkeypatch.setenv("TEST_REDIS_URL", f"{redis_server_url}/0")
    with populated("real", 3, tmp_path / "real") as store:
        assert len(store.people) == 3
        assert store.make(tmp_path) is store.make(tmp_path)
        assert set(store.make(tmp_path).environ()) == {"DATABASE_URL", "REDIS_URL"}


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Give every connection one answer, whatever it asks; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_an_answer_without_a_length_is_an_error_of_the_lean_channel() -> None:
    with (
        answering(b"HTTP/1.1 200 OK\r\n\r\n{}") as port,
        closing(LeanConnections("127.0.0.1", port)) as connections,
        pytest.raises(LocalRpcError, match="without Content-Length") as caught,
    ):
        connections.send(Outgoing("GET", "/", {}, None), Flight(5.0), 1)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_the_ports_of_a_stack_are_different_and_not_those_of_outgoing_connections() -> None:
    ports = free_ports(8)
    assert len(set(ports)) == 8
    assert all(LOWEST <= port < HIGHEST < 32_768 for port in ports)
