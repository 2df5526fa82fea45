"""What the edge refuses by itself is in the audit log, over HTTP."""

from __future__ import annotations

import pytest

from tests.unit.controller_tier.edge import Edge, problem_of
from tier_runtime.audit import Outcome, address_digest

CLIENT = {"REMOTE_ADDR": "203.0.113.7"}
LOGIN = {"email": " Ada@example.org", "password": "Wr0ng-password"}


def test_a_role_that_is_missing_is_a_denial_of_the_rpc_behind_the_route(edge: Edge) -> None:
    user, token = edge.signed_in()
    answer = edge.call("DELETE", f"users/{user.id}", token=token, environ_overrides=CLIENT)
    problem_of(answer, 403, "FORBIDDEN")
    (act,) = edge.audit.acts
    assert (act.name, act.outcome, act.code) == (
        "UserService/DeleteUser",
        Outcome.DENIED,
        "FORBIDDEN",
    )
    assert (act.actor.subject, act.actor.roles) == (user.id, frozenset({"user"}))
    assert act.actor.session_id
    assert act.request_id == answer.headers["X-Request-ID"]
    assert act.client_address == "203.0.113.7"


@pytest.mark.parametrize("token", ["no-token-at-all", "a.b.c"])
def test_a_forged_token_is_a_denial_by_nobody(edge: Edge, token: str) -> None:
    problem_of(edge.call("GET", "auth/me", token=token), 401, "INVALID_TOKEN")
    problem_of(edge.call("GET", "products", token=token), 401, "INVALID_TOKEN")
    (act,) = edge.audit.acts
    assert (act.name, act.code, act.actor.subject) == ("UserService/GetUser", "INVALID_TOKEN", "")


def test_a_token_whose_session_has_ended_is_a_denial(edge: Edge) -> None:
    _, token = edge.signed_in()
    edge.call("POST", "auth/logout-all", token=token)
    edge.feed.poll()
    problem_of(edge.call("GET", "auth/me", token=token), 401, "TOKEN_REVOKED")
    assert [act.code for act in edge.audit.acts] == ["TOKEN_REVOKED"]


def test_everyday_life_is_no_denial(edge: Edge) -> None:
    user, token = edge.signed_in()
    problem_of(edge.call("GET", "auth/me"), 401, "UNAUTHENTICATED")
    expired = edge.tier.mint.issue(user.id, "s", claims={"exp": 1})
    problem_of(edge.call("GET", "auth/me", token=expired), 401, "TOKEN_EXPIRED")
    problem_of(edge.call("GET", "users/no-id", token=token), 400, "VALIDATION_FAILED")
    assert edge.call("GET", "auth/me", token=token).status_code == 200
    assert edge.audit.acts == []


def test_what_the_service_tier_denies_is_its_own_to_record(edge: Edge) -> None:
    _, token = edge.signed_in()
    other = edge.tier.add_user("eve@example.org")
    problem_of(edge.call("GET", f"users/{other.id}", token=token), 403, "FORBIDDEN")
    problem_of(edge.call("POST", "auth/login", LOGIN), 401, "INVALID_CREDENTIALS")
    assert edge.audit.acts == []


def test_a_login_too_many_names_its_address_by_the_digest_only() -> None:
    edge = Edge.make(rate_limit_login_email="1/60")
    problem_of(edge.call("POST", "auth/login", LOGIN), 401, "INVALID_CREDENTIALS")
    refused = edge.call("POST", "auth/login", LOGIN, environ_overrides=CLIENT)
    problem_of(refused, 429, "RATE_LIMITED")
    (act,) = edge.audit.acts
    assert (act.name, act.outcome, act.code) == (
        "AuthService/Login",
        Outcome.DENIED,
        "RATE_LIMITED",
    )
    assert act.target == {
        "address_sha256": address_digest("ada@example.org"),
        "limit": "login-email",
        "refused": 1,
        "first_time": "2026-11-21T04:00:00.000000Z",
        "last_time": "2026-11-21T04:00:00.000000Z",
    }
    assert (act.client_address, act.request_id) == (
        "203.0.113.7",
        refused.headers["X-Request-ID"],
    )


def test_a_limit_by_user_names_the_user_as_the_actor() -> None:
    edge = Edge.make(rate_limit_change_password_user="1/60")
    user, token = edge.signed_in()
    body = {"current_password": "Wr0ng-password", "new_password": "N3w-password-1"}
    edge.call("POST", "auth/change-password", body, token=token)
    assert edge.audit.acts == []
    refused = edge.call("POST", "auth/change-password", body, token=token)
    problem_of(refused, 429, "RATE_LIMITED")
    (act,) = edge.audit.acts
    assert (act.name, act.actor.subject) == ("AuthService/ChangePassword", user.id)
    assert (act.target["limit"], act.target["refused"]) == ("change-password-user", 1)


def test_a_stranger_who_goes_on_is_one_line_for_each_window_of_the_limit() -> None:
    edge = Edge.make(rate_limit_login_email="1/60")
    edge.call("POST", "auth/login", LOGIN)
    for _ in range(20):
        problem_of(edge.call("POST", "auth/login", LOGIN), 429, "RATE_LIMITED")
    assert [act.target["refused"] for act in edge.audit.acts] == [1]
    edge.clock.advance(60)
    problem_of(edge.call("POST", "auth/login", LOGIN), 429, "RATE_LIMITED")
    assert [act.target["refused"] for act in edge.audit.acts] == [1, 20]


def test_denials_of_a_known_account_that_no_limit_made_are_a_line_each(edge: Edge) -> None:
    user, token = edge.signed_in()
    for _ in range(3):
        answer = edge.call("DELETE", f"users/{user.id}", token=token)
        problem_of(answer, 403, "FORBIDDEN")
    assert [(act.code, act.target) for act in edge.audit.acts] == [("FORBIDDEN", {})] * 3


def test_a_stranger_with_tokens_that_are_no_good_is_one_line_a_minute_for_each_network(
    edge: Edge,
) -> None:
    _, ended = edge.signed_in()
    edge.call("POST", "auth/logout-all", token=ended)
    edge.feed.poll()
    for _ in range(20):
        for address in ("2001:db8::1", "2001:db8::2", "203.0.113.7"):
            client = {"REMOTE_ADDR": address}
            for path in ("auth/me", "products", "orders"):
                edge.call("GET", path, token="a.b.c", environ_overrides=client)
            edge.call("GET", "auth/me", token=ended, environ_overrides=client)
    assert [(act.client_address, act.code) for act in edge.audit.acts] == [
        ("2001:db8::1", "INVALID_TOKEN"),
        ("2001:db8::1", "TOKEN_REVOKED"),
        ("203.0.113.7", "INVALID_TOKEN"),
        ("203.0.113.7", "TOKEN_REVOKED"),
    ]
    edge.clock.advance(60)
    edge.call("GET", "auth/me", token="a.b.c", environ_overrides={"REMOTE_ADDR": "198.51.100.1"})
    assert sorted(act.target["refused"] for act in edge.audit.acts[4:]) == [1, 19, 39, 59, 119]
