"""kill -9 of an inner tier: the edge says so in time, and goes on when the tier is back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import requests

from tests.stores import Stores
from tests.stores.waiting import eventually
from tests.system.client import Account, Edge, bearer, expect, expect_problem
from tests.system.discretion import TIERS, watched_edge
from tests.system.load import Load, Question
from tests.system.plan import Tier
from tests.system.processes import ArcanaProcesses

# REQUEST_TIMEOUT_SECONDS of the edge, and what two busy cores may add to it.
DEADLINE_SECONDS = 5.0 + 0.5
SECONDS_TO_RECOVER = 2.0


@pytest.fixture(scope="module")
def arcana(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArcanaProcesses]:
    """Run all tiers for this module; each test brings back what it killed."""
    home = tmp_path_factory.mktemp("killed")
    with ArcanaProcesses(home, stores.new_store("embedded")) as processes:
        yield processes


@pytest.fixture(scope="module")
def edge(arcana: ArcanaProcesses) -> Iterator[Edge]:
    with watched_edge(arcana) as edge:
        yield edge


@pytest.fixture(autouse=True)
def all_tiers_run(arcana: ArcanaProcesses) -> Iterator[None]:
    """Bring back what a failed test left dead, so that the next one fails for its own reasons."""
    yield
    dead = [tier for tier in TIERS if not arcana.running(tier)]
    for tier in dead:
        arcana.restart(tier)


def _works(edge: Edge, account: Account) -> bool:
    return (
        edge.me(account.tokens.access).status_code == 200
        and edge.login(account.email, account.password).status_code == 200
    )


def _health(edge: Edge) -> dict[str, str]:
    tiers: dict[str, str] = edge.get("/health").json()["tiers"]
    return tiers


def _process_ids(arcana: ArcanaProcesses, but: Tier) -> dict[Tier, int]:
    return {tier: arcana.pid(tier) for tier in TIERS if tier != but and arcana.running(tier)}


@pytest.mark.parametrize("tier", ["service", "repository"])
def test_the_edge_answers_503_while_a_tier_is_killed_and_works_again_when_it_is_back(
    arcana: ArcanaProcesses, edge: Edge, tier: Tier
) -> None:
    admin = bearer(edge.sign_in(arcana.admin.email, arcana.admin.password).access)
    account = edge.new_account()
    others = _process_ids(arcana, but=tier)
    assert len(others) == 2

    arcana.kill(tier)
    calls: list[Callable[[], requests.Response]] = [
        lambda: edge.me(account.tokens.access),
        lambda: edge.login(account.email, account.password),
        edge.register,
        lambda: edge.refresh(account.tokens.refresh),
        lambda: edge.get("/users", headers=admin),
        lambda: edge.call("PATCH", f"/users/{account.id}", {"name": "A"}, headers=account.bearer),
    ]
    for ask in calls:
        begun = time.monotonic()
        expect_problem(ask(), 503, "SERVICE_UNAVAILABLE")
        assert time.monotonic() - begun < DEADLINE_SECONDS
    # Each row has its own probe: the database's may turn before that of its tier.
    eventually(lambda: _health(edge)[tier] == "down", DEADLINE_SECONDS, "the bad health")
    health = expect(edge.get("/health"), 503)
    assert health["status"] == "down"
    assert health["tiers"]["controller"] == "up"
    expect(edge.get("/health/live"), 200)
    assert edge.get("/health/ready").status_code == 503

    arcana.restart(tier)
    eventually(lambda: _works(edge, account), SECONDS_TO_RECOVER, "recovery of the edge")
    # What was asked in vain did not happen by halves: the refresh token still lives.
    expect(edge.refresh(account.tokens.refresh), 200)
    eventually(lambda: edge.get("/health").status_code == 200, DEADLINE_SECONDS, "the good health")
    assert _process_ids(arcana, but=tier) == others


@pytest.mark.parametrize("tier", ["service", "repository"])
def test_every_request_under_way_at_a_kill_gets_an_answer_in_time(
    arcana: ArcanaProcesses, edge: Edge, tier: Tier
) -> None:
    account = edge.new_account()
    token = tuple(account.bearer.items())
    body = f'{{"email": "{account.email}", "password": "{account.password}"}}'
    questions = [
        Question("GET", "/auth/me", token),
        Question("PUT", f"/users/{account.id}/profile", token, '{"bio": "under load"}'),
        Question("POST", "/auth/login", (), body),
    ]
    with Load(arcana.edge_url, questions) as load:
        arcana.kill(tier)
        load.wait_for(40)
        arcana.restart(tier)
        eventually(lambda: _works(edge, account), SECONDS_TO_RECOVER, "recovery under load")
        recovered = time.monotonic()
        load.wait_for(40)
    for record in load.records():
        assert record.fault == "", record
        assert (record.status, record.code) in {(200, ""), (503, "SERVICE_UNAVAILABLE")}, record
        assert record.done - record.sent < DEADLINE_SECONDS, record
        if record.sent > recovered:
            # Both workers have their own channel; the other one may be a moment later.
            assert record.status == 200 or record.sent < recovered + 1.0, record
