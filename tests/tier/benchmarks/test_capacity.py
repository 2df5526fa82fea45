"""The measurement of what requests cost, for a moment: that it works, not what anything costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from benchmarks.capacity.journal import RUN_JOB, Calls, Journal
from benchmarks.capacity.meter import DatabaseUse, read_meter
from benchmarks.capacity.run import CapacityPlan, run
from benchmarks.containers import behind_proxies
from benchmarks.people import HASH_METHOD
from benchmarks.worker import BenchmarkError
from launcher.capacity.costs import CONNECTION, CONTROLLER, REPOSITORY, SERVICE, WORKER, Costs

SMOKE = CapacityPlan(
    products=600,
    callers=2,
    alone_seconds=0.2,
    alone_rounds=1,
    seconds=0.4,
    idle_seconds=0.3,
    check_seconds=0.4,
    silent_seconds=0.8,
    store="embedded",
    mix="read-user=1,order=1",
    operations=("read-user", "order"),
    settings={"PASSWORD_HASH_METHOD": HASH_METHOD},
)


def test_a_run_tells_what_each_kind_of_request_costs(tmp_path: Path) -> None:
    said: list[str] = []

    costs = run(SMOKE, tmp_path, said.append)

    read, order = costs.operations["read-user"], costs.operations["order"]
    assert read.cpu_ms[CONTROLLER] > 0
    # Concurrent reads may share a call; an order has calls of its own, and its job's.
    assert 0 < read.rpcs[SERVICE] <= 1
    assert read.transactions == pytest.approx(0, abs=0.2)
    assert read.jobs == 0
    assert order.rpcs[SERVICE] >= 2 * 0.9
    assert order.statements > 5
    assert order.transactions > 1
    assert order.jobs == pytest.approx(1, abs=0.2)
    assert order.held_ms[CONTROLLER] > 0
    assert order.held_ms[REPOSITORY] > order.held_ms[CONNECTION] * 0.1 > 0
    assert order.held_ms[WORKER] > 0
    assert costs.check.measured_rps > 0
    assert costs.check.mix == {"read-user": 0.5, "order": 0.5}
    assert SERVICE in costs.edge_process_cores
    assert CONTROLLER not in costs.edge_process_cores
    assert said[0].startswith("nothing")
    assert Costs.from_json(costs.to_json()).to_json() == costs.to_json()


def test_statements_commits_and_taken_connections_are_counted_by_the_process_itself(
    tmp_path: Path,
) -> None:
    # In a process of its own: what it installs stays for every engine that a process ever makes.
    program = """
import sys, pathlib, sqlalchemy, threading
from benchmarks.capacity.meter import DatabaseMeter, read_meter
DatabaseMeter(pathlib.Path(sys.argv[1])).install()
engine = sqlalchemy.create_engine(sys.argv[2])
with engine.begin() as connection:
    connection.execute(sqlalchemy.text("create table a (b int)"))
    connection.execute(sqlalchemy.text("insert into a values (1)"))
use = read_meter(pathlib.Path(sys.argv[1]))
assert (use.statements, use.transactions, use.taken, use.held_ns) == (2, 1, 1, 0), use
def call():
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("select b from a")).all()
thread = threading.Thread(target=call, name="rpc_0")
thread.start()
thread.join()
engine.dispose()
"""
    file, url = tmp_path / "use", f"sqlite:///{tmp_path / 'a.db'}"

    subprocess.run([sys.executable, "-c", program, str(file), url], check=True, cwd=Path.cwd())

    use = read_meter(file)
    assert (use.statements, use.transactions, use.taken) == (3, 1, 2)
    assert use.held_ns > 0
    assert use.since(DatabaseUse(1, 1, 1, use.held_ns)) == (2, 0, 1, 0)
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("select b from a")).scalar() == 1
    engine.dispose()


def test_calls_are_those_of_the_log_since_the_last_skip(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    journal = Journal(tmp_path, ["service"])
    journal.skip()
    log.write_text(_line("/a.B/C", 5.0))
    journal.skip()
    with log.open("a") as opened:
        opened.write(_line("/a.B/C", 1.5) + "Traceback, say\n" + _line(RUN_JOB, 2.0))
        opened.write(json.dumps({"event": "started"}) + "\n")

    assert journal.calls("service") == Calls(2, 3.5)
    assert journal.calls("service", method=RUN_JOB) == Calls(1, 2.0)


def test_a_log_that_goes_on_and_on_ends_the_run(tmp_path: Path) -> None:
    journal = Journal(tmp_path, ["service"], silent_seconds=60.0)
    with pytest.raises(BenchmarkError, match="not done after 0 s"):
        journal.wait_for_silence(0.0)


def test_a_process_that_is_no_proxy_is_itself_and_one_that_is_gone_is_none() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as one:
        assert behind_proxies([one.pid]) == [one.pid]
        one.communicate(b"\n")
    assert behind_proxies([one.pid]) == []


def _line(method: str, took_ms: float) -> str:
    line = {"event": "rpc", "method": method, "duration_ms": took_ms}
    return json.dumps(line) + "\n"
