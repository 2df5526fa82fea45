from __future__ import annotations

import jwt
import pytest
from structlog.testing import capture_logs
from werkzeug.security import check_password_hash, generate_password_hash

from arcana.repository.v1 import user_pb2 as kept_user_pb2
from arcana.service.v1 import auth_service_pb2, user_pb2
from tests.fakes.repository import FakeRepository
from tests.unit.service_tier.harness import (
    EMAIL,
    METHOD,
    OTHER_PASSWORD,
    PASSWORD,
    Harness,
)
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind


def reasons(harness: Harness) -> list[str]:
    return [event.payload["reason"] for event in harness.events("auth.login_failed")]


def replace_password(repository: FakeRepository, password: str) -> None:
    account = repository.state.account_by_email(EMAIL)
    assert account is not None
    account.password_hash = generate_password_hash(password, METHOD)
    account.credential_version += 1


def test_a_registered_user_signs_in_and_gets_a_token_for_its_session(harness: Harness) -> None:
    user = harness.register()
    pair = harness.login()
    session = next(iter(harness.repository.state.sessions.values())).session
    claims = jwt.decode(pair.access_token, options={"verify_signature": False})
    now = int(harness.clock.now().timestamp())
    assert jwt.get_unverified_header(pair.access_token)["typ"] == "at+jwt"
    assert claims.pop("jti")
    assert claims == {
        "iss": "arcana",
        "aud": "arcana-api",
        "sub": user.id,
        "sid": session.id,
        "iat": now,
        "exp": now + 3600,
        "roles": ["user"],
    }
    assert pair.expires_in_seconds == 3600


def test_a_success_is_noted_with_its_session_and_without_the_address(harness: Harness) -> None:
    user = harness.register()
    harness.login()
    (event,) = harness.events("auth.login_success")
    session = next(iter(harness.repository.state.sessions.values())).session
    assert event.payload == {"user_id": user.id, "session_id": session.id}
    assert event.aggregate_id == user.id
    assert harness.repository.state.accounts[user.id].user.HasField("last_login_time")


def test_letter_case_of_the_address_and_form_of_the_password_do_not_matter(
    harness: Harness,
) -> None:
    harness.register(email="ada@example.org", password="Gr\u00fcne-Wiese-42")
    harness.login(email=" ADA@Example.org ", password="Gru\u0308ne-Wiese-42")


@pytest.mark.parametrize(
    ("email", "password", "reason"),
    [
        (EMAIL, OTHER_PASSWORD, "wrong_password"),
        ("nobody@example.org", PASSWORD, "unknown_account"),
        ("nobody@example.org", "no account has this one", "unknown_account"),
    ],
)
def test_wrong_address_and_wrong_password_get_one_answer_at_one_price(
    harness: Harness, email: str, password: str, reason: str
) -> None:
    harness.register()
    harness.function.forget()
    harness.channel.calls.clear()
    with pytest.raises(AppError) as refused:
        harness.login(email, password)
    assert (refused.value.kind, refused.value.code) == (
        Kind.UNAUTHENTICATED,
        "INVALID_CREDENTIALS",
    )
    assert refused.value.message == "The email address or the password is wrong."
    # The same work in the same order, whether or not there is such an account.
    assert (harness.function.hashes, len(harness.function.verifications)) == (0, 1)
    assert harness.function.verifications[0].startswith(METHOD)
    assert harness.channel.calls == ["GetCredentials", "AppendEvents"]
    assert reasons(harness) == [reason]


def test_a_failure_is_noted_by_user_id_where_there_is_one_and_never_by_address(
    harness: Harness,
) -> None:
    user = harness.register()
    for email in (EMAIL, "nobody@example.org"):
        with pytest.raises(AppError):
            harness.login(email, OTHER_PASSWORD)
    known, unknown = harness.events("auth.login_failed")
    assert known.payload["user_id"] == known.aggregate_id == user.id
    assert "user_id" not in unknown.payload
    assert unknown.aggregate_type == "login_attempt"
    assert unknown.aggregate_id
    assert "@" not in str(known) + str(unknown)


@pytest.mark.parametrize("status", [user_pb2.USER_STATUS_INACTIVE, user_pb2.USER_STATUS_SUSPENDED])
def test_only_the_right_password_learns_that_the_account_is_not_active(
    harness: Harness, status: user_pb2.UserStatus.ValueType
) -> None:
    user = harness.register()
    harness.set_status(user.id, status)
    with pytest.raises(AppError) as wrong:
        harness.login(password=OTHER_PASSWORD)
    with pytest.raises(AppError) as right:
        harness.login()
    assert wrong.value.code == "INVALID_CREDENTIALS"
    assert (right.value.kind, right.value.code) == (Kind.FORBIDDEN, "ACCOUNT_NOT_ACTIVE")
    assert reasons(harness) == ["wrong_password", "account_not_active"]


def test_a_failure_that_cannot_be_noted_is_still_the_same_failure(harness: Harness) -> None:
    def down(_: object) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    harness.register()
    harness.channel.before["AppendEvents"] = down
    with capture_logs() as logged, pytest.raises(AppError) as refused:
        harness.login(password=OTHER_PASSWORD)
    assert refused.value.code == "INVALID_CREDENTIALS"
    (line,) = logged
    assert (line["event"], line["reason"]) == ("login_failure_not_noted", "wrong_password")
    assert EMAIL not in str(line)


def test_an_older_hash_is_replaced_at_sign_in_and_still_fits(harness: Harness) -> None:
    user = harness.register()
    account = harness.repository.state.accounts[user.id]
    account.password_hash = generate_password_hash(PASSWORD, "scrypt:512:8:1")
    harness.login()
    assert account.password_hash.startswith(METHOD + "$")
    assert account.credential_version == 1
    assert check_password_hash(account.password_hash, PASSWORD)
    harness.function.forget()
    harness.login()
    assert harness.function.hashes == 0


def test_an_older_hash_stays_when_there_is_no_time_to_replace_it(harness: Harness) -> None:
    user = harness.register()
    account = harness.repository.state.accounts[user.id]
    harness.function.on_verify = lambda: harness.clock.advance(0.4)
    harness.login()
    old = account.password_hash = generate_password_hash(PASSWORD, "scrypt:512:8:1")
    harness.function.forget()
    # What a hash takes, by the check before, is more than this one leaves of the deadline.
    with harness.acting(Actor(), seconds=0.45):
        harness.login()
    assert harness.function.hashes == 0
    assert account.password_hash == old


def test_a_password_changed_during_sign_in_is_checked_again_once(harness: Harness) -> None:
    harness.register()
    seen: list[object] = []

    def change_once(request: object) -> None:
        seen.append(request)
        if len(seen) == 1:
            replace_password(harness.repository, PASSWORD)

    harness.channel.before["CreateSession"] = change_once
    harness.login()
    assert len(seen) == 2


def test_the_old_password_does_not_start_a_session_after_a_change_in_between(
    harness: Harness,
) -> None:
    harness.register()
    harness.channel.before["CreateSession"] = lambda _: replace_password(
        harness.repository, OTHER_PASSWORD
    )
    with pytest.raises(AppError) as refused:
        harness.login()
    assert refused.value.code == "INVALID_CREDENTIALS"
    assert harness.repository.state.sessions == {}


def test_an_account_that_never_stops_changing_is_told_to_come_again(harness: Harness) -> None:
    harness.register()
    harness.channel.before["CreateSession"] = lambda _: replace_password(
        harness.repository, PASSWORD
    )
    with pytest.raises(AppError) as refused:
        harness.login()
    assert refused.value.kind is Kind.UNAVAILABLE
    assert refused.value.retry_after == 1.0


def test_an_account_deleted_during_sign_in_is_as_unknown_as_any(harness: Harness) -> None:
    harness.register()
    harness.channel.before["CreateSession"] = lambda _: harness.repository.state.accounts.clear()
    with pytest.raises(AppError) as refused:
        harness.login()
    assert refused.value.code == "INVALID_CREDENTIALS"
    assert reasons(harness) == ["unknown_account"]


def test_an_account_suspended_during_sign_in_is_told_so(harness: Harness) -> None:
    user = harness.register()

    def suspend(_: object) -> None:
        account = harness.repository.state.accounts[user.id]
        account.user.status = kept_user_pb2.USER_STATUS_SUSPENDED

    harness.channel.before["CreateSession"] = suspend
    with pytest.raises(AppError) as refused:
        harness.login()
    assert refused.value.code == "ACCOUNT_NOT_ACTIVE"
    assert reasons(harness) == ["account_not_active"]


def test_a_repository_that_is_down_is_told_as_it_is(harness: Harness) -> None:
    def down(_: object) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    for method in ("GetCredentials", "CreateSession"):
        harness.repository.state.accounts.clear()
        harness.channel.before.clear()
        harness.register()
        harness.channel.before[method] = down
        with pytest.raises(AppError) as refused:
            harness.login()
        assert refused.value.kind is Kind.UNAVAILABLE


@pytest.mark.parametrize(
    ("email", "password", "fields"),
    [
        ("", "", {"email", "password"}),
        ("no address", PASSWORD, {"email"}),
        (EMAIL, "x" * 1025, {"password"}),
    ],
)
def test_a_sign_in_that_cannot_be_right_costs_no_hash(
    harness: Harness, email: str, password: str, fields: set[str]
) -> None:
    with pytest.raises(AppError) as refused:
        harness.login(email, password)
    assert refused.value.code == "VALIDATION_FAILED"
    assert set(refused.value.field_errors) == fields
    assert harness.function.verifications == []


def test_what_is_shown_of_the_client_is_cut_and_cleaned(harness: Harness) -> None:
    harness.register()
    harness.auth.Login(
        auth_service_pb2.LoginRequest(
            email=EMAIL,
            password=PASSWORD,
            client_address="203.0.113.7" + "x" * 60,
            user_agent="Odd\x00\nAgent " + "y" * 300,
        )
    )
    session = next(iter(harness.repository.state.sessions.values())).session
    assert session.client_address == ("203.0.113.7" + "x" * 60)[:45]
    assert session.user_agent == ("OddAgent " + "y" * 300)[:255]


def test_a_sign_in_without_time_for_a_hash_is_refused_before_it_asks_anybody(
    harness: Harness,
) -> None:
    harness.register()
    harness.channel.calls.clear()
    with harness.acting(Actor(), seconds=0), pytest.raises(AppError) as refused:
        harness.login()
    assert refused.value.kind is Kind.DEADLINE
    assert harness.channel.calls == []
