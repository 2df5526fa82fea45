from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from launcher.capacity.command import POOL_SIZE, THREADS, Wish, plan_text
from launcher.capacity.costs import CONTROLLER, REPOSITORY, SERVICE, TIERS, WORKER, measured_costs
from launcher.cli import app
from launcher.tiers import settings_class
from repository_tier.settings import RepositorySettings
from tests.unit.launcher.capacity.made_up import COSTS
from tier_runtime.startup import StartupError

WISH = Wish(
    rps=1000.0,
    mix="read=90,write=10",
    peak_factor=1.0,
    utilisation=0.6,
    replicas_min=2,
    cores_per_replica=2,
    pool_size=16,
    max_connections=151,
    database_cores=16,
)
OF_READS = replace(
    COSTS, operations={"read-user": COSTS.operations["read"], "write": COSTS.operations["write"]}
)


def _told(wish: Wish, *, as_document: bool = False) -> str:
    return plan_text(OF_READS, replace(wish, mix="read-user=9,write=1"), as_document=as_document)


def test_a_plan_names_each_tier_the_connections_and_where_its_figures_are_from() -> None:
    text = _told(WISH)

    for tier in TIERS:
        (line,) = [each for each in text.splitlines() if each.startswith(f"{tier} ")]
        assert line.split()[1].isdigit()
    assert "WEB_THREADS" in text
    assert "DATABASE_POOL_SIZE=16" in text
    assert "Measured on 2026-11-30 on 2 cores of An Abacus" in text
    assert "1.20 times" in text


def test_what_is_too_little_is_told_with_what_may_be_done() -> None:
    text = _told(WISH)

    (line,) = [each for each in text.splitlines() if "connections of the database" in each]
    assert "TOO LITTLE" in line
    assert "the fewest replicas need more" in line
    assert "max_connections" in line
    assert "None of them" not in text


def test_what_is_enough_is_told_too() -> None:
    text = _told(replace(WISH, rps=1.0, max_connections=10_000))

    assert "TOO LITTLE" not in text
    assert "None of them stands in the way of 1 requests/s." in text


def test_the_document_says_the_same() -> None:
    known = json.loads(_told(WISH, as_document=True))

    assert set(known["plan"]["tiers"]) == set(TIERS)
    limits = {limit["name"]: limit for limit in known["limits"]}
    assert limits["connections of the database"]["is_exceeded"] is True
    assert limits["connections of the database"]["needed"] == known["plan"]["connections"]
    assert known["measured"]["made"] == COSTS.made


def test_a_smaller_pool_means_as_few_threads() -> None:
    small = json.loads(_told(replace(WISH, pool_size=4), as_document=True))
    assert small["sizes"]["threads"][REPOSITORY] == 4
    usual = json.loads(_told(WISH, as_document=True))
    assert small["plan"]["connections"] < usual["plan"]["connections"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rps": 0.0}, "--rps is 0"),
        ({"rps": float("nan")}, "--rps is nan"),
        ({"rps": float("inf")}, "--rps is inf"),
        ({"peak_factor": 0.5}, "--peak-factor is 0.5"),
        ({"utilisation": 1.0}, "--utilisation is 1"),
        ({"utilisation": 0.0}, "--utilisation is 0"),
        ({"replicas_min": 0}, "--replicas-min must"),
        ({"cores_per_replica": 0}, "--cores-per-replica must"),
        ({"pool_size": 0}, "--pool-size is 0"),
        ({"pool_size": 257}, "--pool-size is 257"),
        ({"max_connections": 0}, "--max-connections must"),
        ({"database_cores": 0}, "--database-cores must"),
    ],
)
def test_a_wish_that_cannot_be_meant_is_refused(change: dict[str, float], told: str) -> None:
    with pytest.raises(StartupError, match=told):
        _told(replace(WISH, **change))  # type: ignore[arg-type]  # each of its own type


def test_all_faults_of_a_wish_are_told_at_once() -> None:
    with pytest.raises(StartupError) as raised:
        plan_text(OF_READS, replace(WISH, rps=-1.0, replicas_min=0), as_document=False)
    # The mix of the wish names two operations that these costs do not have.
    assert len(str(raised.value).splitlines()) >= 3


def test_the_threads_that_are_counted_on_are_those_of_the_settings() -> None:
    def default(program: str, name: str) -> object:
        return settings_class(program).model_fields[name].default  # type: ignore[arg-type]

    on_a_server = RepositorySettings(database_url="mysql+pymysql://a:b@c/d")  # type: ignore[arg-type]
    assert THREADS[REPOSITORY] == on_a_server.threads()
    assert THREADS[CONTROLLER] == default("controller", "web_threads")
    assert THREADS[SERVICE] == default("service", "service_threads")
    assert THREADS[WORKER] == default("worker", "worker_concurrency")
    assert default("repository", "database_pool_size") == POOL_SIZE


def test_the_command_plans_with_the_costs_that_ship() -> None:
    result = CliRunner().invoke(app, ["capacity", "--rps", "10000", "--json"])

    assert result.exit_code == 0, result.output
    known = json.loads(result.output)
    assert known["measured"]["made"] == measured_costs().made
    assert all(one["replicas"] >= 2 for one in known["plan"]["tiers"].values())


def test_the_command_says_what_is_wrong_and_ends_with_2() -> None:
    result = CliRunner().invoke(app, ["capacity", "--rps", "1", "--mix", "reed=1"])

    assert result.exit_code == 2
    assert "known are read, read-user" in result.stderr
