from __future__ import annotations

import pytest

from arcana.service.v1.user_pb2 import USER_STATUS_SUSPENDED
from tests.unit.controller_tier.edge import Edge, problem_of
from tier_runtime.errors import AppError, Kind

ADA = {"name": "Ada Lovelace", "email": "ada@example.org", "password": "Correct-Horse-7"}
STALE = AppError(Kind.STALE, "PRECONDITION_FAILED", "Another change came first.")
CREDENTIALS = {"email": ADA["email"], "password": ADA["password"]}


def test_register_answers_the_user_with_its_location_and_version(edge: Edge) -> None:
    answer = edge.call("POST", "auth/register", ADA)
    assert answer.status_code == 201
    user = answer.json
    assert answer.headers["Location"] == f"/api/v1/users/{user['id']}"
    assert answer.headers["ETag"] == '"v1"'
    assert answer.content_type == "application/json; charset=utf-8"
    assert user == {
        "id": user["id"],
        "email": "ada@example.org",
        "name": "Ada Lovelace",
        "status": "active",
        "email_verified": False,
        "roles": ["user"],
        "created_at": "2026-11-21T04:00:00.000000Z",
        "updated_at": "2026-11-21T04:00:00.000000Z",
        "last_login_at": None,
    }


def test_a_second_account_with_one_address_is_refused(edge: Edge) -> None:
    edge.tier.add_user(ADA["email"])
    document = problem_of(edge.call("POST", "auth/register", ADA), 409, "EMAIL_EXISTS")
    assert document["title"] == "Conflict"
    assert document["instance"] == "/api/v1/auth/register"
    assert "errors" not in document


def test_register_names_every_bad_field(edge: Edge) -> None:
    answer = edge.call("POST", "auth/register", {"email": "nobody", "name": 5, "admin": True})
    document = problem_of(answer, 400, "VALIDATION_FAILED")
    assert set(document["errors"]) == {"email", "name", "password", "admin"}
    assert document["errors"]["email"] == ["Not a valid email address."]
    assert edge.tier.methods() == ["ListAccessChanges"]


def test_field_errors_of_the_service_tier_reach_the_client(edge: Edge) -> None:
    answer = edge.call("POST", "auth/register", ADA | {"password": "alllowercase"})
    document = problem_of(answer, 400, "VALIDATION_FAILED")
    assert document["errors"] == {"password": ["Must hold at least one upper case letter."]}


def test_the_same_idempotency_key_replays_the_first_answer(edge: Edge) -> None:
    headers = {"Idempotency-Key": "k 1"}
    first = edge.call("POST", "auth/register", ADA, headers=headers)
    second = edge.call("POST", "auth/register", ADA, headers=headers)
    assert (second.status_code, second.data) == (201, first.data)
    assert second.headers["Idempotent-Replay"] == "true"
    assert second.headers["ETag"] == first.headers["ETag"]
    assert "Idempotent-Replay" not in first.headers
    other = edge.call("POST", "auth/register", ADA | {"name": "Eve"}, headers=headers)
    problem_of(other, 422, "IDEMPOTENCY_KEY_REUSED")


def test_a_key_that_is_still_running_is_a_conflict(edge: Edge) -> None:
    edge.tier.failures["Register"] = AppError(
        Kind.CONFLICT, "IDEMPOTENCY_IN_PROGRESS", "Still running."
    )
    answer = edge.call("POST", "auth/register", ADA, headers={"Idempotency-Key": "k"})
    problem_of(answer, 409, "IDEMPOTENCY_IN_PROGRESS")


@pytest.mark.parametrize("key", ["", "é", "k" * 256, "tab\there"])
def test_an_idempotency_key_must_be_printable_ascii(edge: Edge, key: str) -> None:
    answer = edge.call("POST", "auth/register", ADA, headers={"Idempotency-Key": key})
    assert "Idempotency-Key" in problem_of(answer, 400, "VALIDATION_FAILED")["errors"]


def test_login_gives_tokens_that_work_and_are_not_stored(edge: Edge) -> None:
    user = edge.tier.add_user()
    answer = edge.call("POST", "auth/login", CREDENTIALS, headers={"User-Agent": "test/1"})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert set(answer.json) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 3600)
    me = edge.call("GET", "auth/me", token=answer.json["access_token"])
    assert (me.status_code, me.json["id"]) == (200, user.id)
    sent = edge.tier.last("Login").request
    assert (sent.client_address, sent.user_agent) == ("127.0.0.1", "test/1")


def test_an_address_that_is_none_is_not_passed_on() -> None:
    edge = Edge.make(trusted_proxies=1)
    edge.tier.add_user()
    answer = edge.call("POST", "auth/login", CREDENTIALS, headers={"X-Forwarded-For": "_x" * 900})
    assert answer.status_code == 200
    assert edge.tier.last("Login").request.client_address == ""


def test_the_zone_of_an_address_is_not_passed_on() -> None:
    edge = Edge.make(trusted_proxies=1)
    edge.tier.add_user()
    headers = {"X-Forwarded-For": "fe80::1%" + "x" * 900}
    assert edge.call("POST", "auth/login", CREDENTIALS, headers=headers).status_code == 200
    assert edge.tier.last("Login").request.client_address == "fe80::1"


def test_wrong_password_and_unknown_address_get_one_answer(edge: Edge) -> None:
    edge.tier.add_user()
    wrong = edge.call("POST", "auth/login", CREDENTIALS | {"password": "x"})
    unknown = edge.call("POST", "auth/login", CREDENTIALS | {"email": "eve@example.org"})
    first = problem_of(wrong, 401, "INVALID_CREDENTIALS")
    second = problem_of(unknown, 401, "INVALID_CREDENTIALS")
    assert first["detail"] == second["detail"]
    assert wrong.headers["WWW-Authenticate"] == 'Bearer realm="arcana"'


def test_a_suspended_account_cannot_sign_in(edge: Edge) -> None:
    edge.tier.add_user(status=USER_STATUS_SUSPENDED)
    problem_of(edge.call("POST", "auth/login", CREDENTIALS), 403, "ACCOUNT_NOT_ACTIVE")


def test_a_refresh_token_works_once_and_its_second_use_ends_the_session(edge: Edge) -> None:
    pair = edge.tier.start_session(edge.tier.add_user())
    body = {"refresh_token": pair.refresh_token}
    fresh = edge.call("POST", "auth/refresh", body)
    assert fresh.status_code == 200
    assert fresh.json["refresh_token"] != pair.refresh_token
    problem_of(edge.call("POST", "auth/refresh", body), 401, "TOKEN_REVOKED")
    edge.feed.poll()
    problem_of(edge.call("GET", "auth/me", token=fresh.json["access_token"]), 401, "TOKEN_REVOKED")


def test_logout_says_nothing_about_the_token(edge: Edge) -> None:
    pair = edge.tier.start_session(edge.tier.add_user())
    for token in (pair.refresh_token, "unknown"):
        answer = edge.call("POST", "auth/logout", {"refresh_token": token})
        assert (answer.status_code, answer.data) == (204, b"")
        assert "Content-Type" not in answer.headers
    assert not edge.tier.sessions


def test_logout_all_ends_access_tokens_once_the_feed_knows(edge: Edge) -> None:
    _, token = edge.signed_in()
    assert edge.call("POST", "auth/logout-all", token=token).status_code == 204
    edge.feed.poll()
    problem_of(edge.call("GET", "auth/me", token=token), 401, "TOKEN_REVOKED")


@pytest.mark.parametrize("path", ["auth/change-password", "settings/change-password"])
def test_change_password_keeps_the_own_session_and_ends_the_others(edge: Edge, path: str) -> None:
    user, token = edge.signed_in()
    other = edge.tier.sign_in(user)
    body = {"current_password": "Correct-Horse-7", "new_password": "Correct-Horse-8"}
    assert edge.call("POST", path, body, token=token).status_code == 204
    edge.feed.poll()
    assert edge.call("GET", "auth/me", token=token).status_code == 200
    problem_of(edge.call("GET", "auth/me", token=other), 401, "TOKEN_REVOKED")
    problem_of(edge.call("POST", path, body, token=token), 401, "INVALID_CREDENTIALS")


@pytest.mark.parametrize(
    ("current", "status"), [("Correct-Horse-7", 204), ("Correct-Horse-6", 401)]
)
def test_change_password_is_tried_again_when_another_change_came_first(
    edge: Edge, current: str, status: int
) -> None:
    _, token = edge.signed_in()

    def stale_once(method: str) -> None:
        if edge.tier.methods().count("ChangePassword") == 1 and method == "ChangePassword":
            raise STALE

    edge.tier.before = stale_once
    body = {"current_password": current, "new_password": "Correct-Horse-8"}
    answer = edge.call("POST", "auth/change-password", body, token=token)
    assert answer.status_code == status
    assert edge.tier.methods().count("ChangePassword") == 2


def test_change_password_gives_up_after_the_second_change_that_came_first(edge: Edge) -> None:
    _, token = edge.signed_in()
    edge.tier.failures["ChangePassword"] = STALE
    body = {"current_password": "Correct-Horse-7", "new_password": "Correct-Horse-8"}
    answer = edge.call("POST", "auth/change-password", body, token=token)
    problem_of(answer, 503, "SERVICE_UNAVAILABLE")
    assert edge.tier.methods().count("ChangePassword") == 2


def test_other_failures_of_change_password_are_not_tried_again(edge: Edge) -> None:
    _, token = edge.signed_in()
    edge.tier.failures["ChangePassword"] = AppError(Kind.DEADLINE, "DEADLINE_EXCEEDED", "Late.")
    body = {"current_password": "Correct-Horse-7", "new_password": "Correct-Horse-8"}
    answer = edge.call("POST", "auth/change-password", body, token=token)
    problem_of(answer, 504, "DEADLINE_EXCEEDED")
    assert edge.tier.methods().count("ChangePassword") == 1


def test_password_reset_answers_alike_for_known_and_unknown_addresses(edge: Edge) -> None:
    edge.tier.add_user()
    known = edge.call("POST", "auth/password-reset", {"email": "ada@example.org"})
    unknown = edge.call("POST", "auth/password-reset", {"email": "eve@example.org"})
    assert (known.status_code, known.data) == (unknown.status_code, unknown.data) == (202, b"")
    [token] = edge.tier.one_time_tokens
    body = {"token": token, "new_password": "Correct-Horse-8"}
    assert edge.call("POST", "auth/password-reset/confirm", body).status_code == 204
    answer = edge.call("POST", "auth/password-reset/confirm", body)
    problem_of(answer, 401, "INVALID_TOKEN")


def test_an_address_is_verified_by_a_mailed_token(edge: Edge) -> None:
    user, token = edge.signed_in()
    assert edge.call("POST", "auth/verify-email/resend", token=token).status_code == 202
    [mailed] = edge.tier.one_time_tokens
    assert edge.call("POST", "auth/verify-email", {"token": mailed}).status_code == 204
    assert edge.tier.accounts[user.id].user.email_verified
    problem_of(edge.call("POST", "auth/verify-email", {"token": mailed}), 401, "INVALID_TOKEN")


@pytest.mark.parametrize("path", ["auth/me", "users/me", "settings/account-info"])
def test_the_own_account_has_three_names(edge: Edge, path: str) -> None:
    user, token = edge.signed_in()
    answer = edge.call("GET", path, token=token)
    assert (answer.status_code, answer.json["id"]) == (200, user.id)
    tag = answer.headers["ETag"]
    again = edge.call("GET", path, token=token, headers={"If-None-Match": tag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)


def test_the_own_account_of_somebody_just_deleted_is_a_revoked_token(edge: Edge) -> None:
    user, token = edge.signed_in()
    del edge.tier.accounts[user.id]
    problem_of(edge.call("GET", "auth/me", token=token), 401, "TOKEN_REVOKED")


def test_other_failures_of_the_own_account_stay_what_they_are(edge: Edge) -> None:
    _, token = edge.signed_in()
    edge.tier.failures["GetUser"] = AppError(Kind.DEADLINE, "DEADLINE_EXCEEDED", "Too slow.")
    problem_of(edge.call("GET", "auth/me", token=token), 504, "DEADLINE_EXCEEDED")


def test_sessions_are_listed_newest_first_and_can_be_ended(edge: Edge) -> None:
    user, token = edge.signed_in()
    other = edge.tier.sign_in(user)
    page = edge.call("GET", "auth/sessions", token=token).json
    assert [item["current"] for item in page["data"]] == [False, True]
    assert page["data"][0]["ip_address"] == "192.0.2.1"
    assert page["data"][0]["user_agent"] is None
    assert (page["total"], page["has_next"], page["next_cursor"]) == (2, False, None)
    path = f"auth/sessions/{page['data'][0]['id']}"
    assert edge.call("DELETE", path, token=token).status_code == 204
    edge.feed.poll()
    problem_of(edge.call("GET", "auth/me", token=other), 401, "TOKEN_REVOKED")
    problem_of(edge.call("DELETE", path, token=token), 404, "NOT_FOUND")


def test_a_session_id_that_is_none_is_a_field_error(edge: Edge) -> None:
    _, token = edge.signed_in()
    answer = edge.call("DELETE", "auth/sessions/7", token=token)
    assert problem_of(answer, 400, "VALIDATION_FAILED")["errors"] == {"id": ["Not a valid UUID."]}


def test_the_public_keys_are_shown_without_the_base_path(edge: Edge) -> None:
    answer = edge.call("GET", "/.well-known/jwks.json")
    [key] = answer.json["keys"]
    assert key["kid"] == edge.tier.mint.key.kid
    assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}
    assert answer.headers["Cache-Control"] == "public, max-age=60"
