"""What a run leaves in the logs: one request id through all tiers, and no secret."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.stores.waiting import eventually
from tests.system.client import Edge, bearer, expect, new_email, new_password
from tests.system.discretion import TIERS, expect_discreet_logs, watched_edge
from tests.system.processes import ArcanaProcesses
from tests.system.wiring import MONOLITHIC


@pytest.fixture(scope="module")
def edge(arcana: ArcanaProcesses) -> Iterator[Edge]:
    with watched_edge(arcana) as edge:
        yield edge


def test_one_request_id_stands_in_the_logs_of_all_three_tiers(
    arcana: ArcanaProcesses, edge: Edge
) -> None:
    given = f"test-{secrets.token_hex(8)}"
    body = {"name": "Ada", "email": new_email(), "password": new_password()}
    answer = edge.post("/auth/register", body, headers={"X-Request-ID": given})
    expect(answer, 201)
    assert answer.headers["X-Request-ID"] == given
    for tier in TIERS:
        eventually(
            lambda tier=tier: any(  # type: ignore[misc]  # bound now
                line.get("request_id") == given for line in arcana.log_lines(tier)
            ),
            what=f"a line of the {tier} tier with the request id",
        )


def test_a_request_without_an_id_is_given_one_that_all_tiers_log(
    arcana: ArcanaProcesses, edge: Edge
) -> None:
    answer = edge.register()
    made = answer.headers["X-Request-ID"]
    assert 1 <= len(made) <= 128
    for tier in TIERS:
        eventually(
            lambda tier=tier: made in arcana.logs(tier),  # type: ignore[misc]  # bound now
            what=f"the request id in the log of the {tier} tier",
        )


@pytest.mark.parametrize("given", ["has space", "x" * 129, "semi;colon", "ü"])
def test_a_request_id_of_another_form_is_replaced(edge: Edge, given: str) -> None:
    headers = {"X-Request-ID": given.encode().decode("latin-1")}
    answer = edge.get("/health/live", headers=headers)
    assert answer.headers["X-Request-ID"] != given
    assert answer.headers["X-Request-ID"]


def test_every_line_of_a_log_names_its_time_level_and_tier(arcana: ArcanaProcesses) -> None:
    for tier in TIERS:
        lines = arcana.log_lines(tier)
        assert lines
        for line in lines:
            assert {"time", "level", "tier", "event"} <= line.keys(), line
            assert line["tier"] == ("monolith" if arcana.wiring == MONOLITHIC else tier)
        # Nothing writes past the logger: a warning of a library, a stray print.
        assert len(lines) == len([each for each in arcana.logs(tier).splitlines() if each.strip()])


def test_no_log_holds_an_address_a_password_or_a_token(arcana: ArcanaProcesses, edge: Edge) -> None:
    account = edge.new_account()
    admin = bearer(edge.sign_in(arcana.admin.email, arcana.admin.password).access)
    edge.login(account.email, "Wr0ng-password")
    edge.login("nobody@people.example", "Wr0ng-password")
    edge.register(account.email)
    edge.refresh("not-a-token-at-all-but-secret")
    edge.post("/auth/password-reset", {"email": account.email})
    body = {"token": "made-up-reset-token", "new_password": new_password()}
    edge.post("/auth/password-reset/confirm", body)
    edge.post("/auth/verify-email", {"token": "made-up-verification-token"})
    edge.post("/auth/register", {"email": account.email, "passwort": "Mistyped-1-field"})
    edge.post("/auth/login", data='{"email": "broken@people.example", "password": "Brok3n-json')
    edge.get("/users", params={"search": account.email}, headers=admin)
    edge.get("/users", params={account.email: "as a name"}, headers=admin)
    edge.get(f"/users/{account.email}", headers=admin)
    edge.me(account.tokens.access + "x")
    edge.get("/auth/me", params={"access_token": account.tokens.access})
    for password in (account.password, "short"):
        changed = {"current_password": password, "new_password": new_password()}
        edge.post("/auth/change-password", changed, headers=account.bearer)
    told = {"Mistyped-1-field", "Brok3n-json", account.tokens.access + "x"}
    edge.secrets |= told
    assert len(edge.secrets) > 15
    # The last lines of a request are written after its answer has left.
    seen = edge.get("/health/live").headers["X-Request-ID"]
    eventually(lambda: seen in arcana.logs("controller"), what="the last request's log line")
    expect_discreet_logs(arcana, edge.secrets)
