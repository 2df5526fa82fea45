from __future__ import annotations

from collections.abc import Callable

import pytest

from arcana.repository.v1 import user_repository_pb2
from arcana.service.v1 import auth_service_pb2 as pb
from arcana.service.v1 import user_pb2
from service_tier.one_time_tokens import Purpose
from tests.unit.service_tier.harness import (
    EMAIL,
    OTHER_PASSWORD,
    PASSWORD,
    Harness,
)
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind


def change(harness: Harness, current: str, new: str) -> None:
    harness.auth.ChangePassword(
        pb.ChangePasswordRequest(current_password=current, new_password=new)
    )


def request_reset(harness: Harness, email: str = EMAIL) -> None:
    harness.auth.RequestPasswordReset(pb.RequestPasswordResetRequest(email=email))


def confirm_reset(harness: Harness, token: str, new: str = OTHER_PASSWORD) -> None:
    harness.auth.ConfirmPasswordReset(pb.ConfirmPasswordResetRequest(token=token, new_password=new))


def reset_token(harness: Harness) -> str:
    request_reset(harness)
    return harness.mailed_token(Purpose.PASSWORD_RESET, "auth.password_reset_requested")


def living(harness: Harness) -> list[str]:
    sessions = harness.repository.state.sessions
    return [session_id for session_id, kept in sessions.items() if kept.ended is None]


def test_a_changed_password_is_the_only_one_that_works_and_other_sessions_end(
    harness: Harness,
) -> None:
    user = harness.register()
    harness.login()
    actor = harness.actor()
    with harness.acting(actor):
        change(harness, PASSWORD, OTHER_PASSWORD)
    assert living(harness) == [actor.session_id]
    harness.login(password=OTHER_PASSWORD)
    with pytest.raises(AppError, match="INVALID_CREDENTIALS"):
        harness.login()
    (event,) = harness.events("auth.password_changed")
    assert dict(event.payload) == {"user_id": user.id, "reason": "change"}


def test_a_wrong_current_password_changes_nothing_and_costs_one_check(harness: Harness) -> None:
    harness.register()
    actor = harness.actor()
    harness.function.forget()
    with harness.acting(actor), pytest.raises(AppError) as refused:
        change(harness, OTHER_PASSWORD, OTHER_PASSWORD)
    assert (refused.value.kind, refused.value.code) == (
        Kind.UNAUTHENTICATED,
        "INVALID_CREDENTIALS",
    )
    assert (harness.function.hashes, len(harness.function.verifications)) == (0, 1)
    assert living(harness) == [actor.session_id]


def test_the_policy_holds_for_every_way_to_set_a_password(harness: Harness) -> None:
    harness.register()
    token = reset_token(harness)
    with harness.acting(harness.actor()), pytest.raises(AppError) as changed:
        change(harness, "x" * 1025, "Password1")
    with pytest.raises(AppError) as reset:
        confirm_reset(harness, token, "Password1")
    assert set(changed.value.field_errors) == {"current_password", "new_password"}
    assert set(reset.value.field_errors) == {"new_password"}


def test_a_password_that_changed_meanwhile_refuses_the_change(harness: Harness) -> None:
    user = harness.register()
    actor = harness.actor()

    def bump(_: object) -> None:
        harness.repository.state.accounts[user.id].credential_version += 1

    harness.channel.before["ReplacePassword"] = bump
    with harness.acting(actor), pytest.raises(AppError) as refused:
        change(harness, PASSWORD, OTHER_PASSWORD)
    assert (refused.value.kind, refused.value.code) == (Kind.STALE, "PRECONDITION_FAILED")


@pytest.mark.parametrize("method", ["GetCredentials", "ReplacePassword"])
def test_an_account_that_is_gone_takes_its_tokens_with_it(harness: Harness, method: str) -> None:
    harness.register()
    actor = harness.actor()
    harness.channel.before[method] = lambda _: harness.repository.state.accounts.clear()
    with harness.acting(actor), pytest.raises(AppError) as refused:
        change(harness, PASSWORD, OTHER_PASSWORD)
    assert (refused.value.kind, refused.value.code) == (Kind.UNAUTHENTICATED, "TOKEN_REVOKED")


@pytest.mark.parametrize("method", ["GetCredentials", "ReplacePassword"])
def test_a_store_that_is_down_is_not_taken_for_a_missing_account(
    harness: Harness, method: str
) -> None:
    def down(_: object) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    harness.register()
    actor = harness.actor()
    harness.channel.before[method] = down
    with harness.acting(actor), pytest.raises(AppError) as refused:
        change(harness, PASSWORD, OTHER_PASSWORD)
    assert refused.value.kind is Kind.UNAVAILABLE


def test_a_reset_sets_the_password_ends_every_session_and_works_once(harness: Harness) -> None:
    user = harness.register()
    harness.login()
    token = reset_token(harness)
    confirm_reset(harness, token)
    assert living(harness) == []
    harness.login(password=OTHER_PASSWORD)
    (event,) = harness.events("auth.password_changed")
    assert dict(event.payload) == {"user_id": user.id, "reason": "reset"}
    with pytest.raises(AppError) as again:
        confirm_reset(harness, token)
    assert (again.value.kind, again.value.code) == (Kind.UNAUTHENTICATED, "INVALID_TOKEN")


def test_using_one_reset_token_kills_the_others(harness: Harness) -> None:
    harness.register()
    first, second = reset_token(harness), reset_token(harness)
    confirm_reset(harness, second)
    with pytest.raises(AppError, match="INVALID_TOKEN"):
        confirm_reset(harness, first)


def test_a_reset_token_expires_after_an_hour(harness: Harness) -> None:
    harness.register()
    token = reset_token(harness)
    harness.clock.advance(3600)
    with pytest.raises(AppError, match="TOKEN_EXPIRED"):
        confirm_reset(harness, token)


def test_who_has_no_living_token_gets_no_hash_out_of_us(harness: Harness) -> None:
    harness.register()
    unknown = harness.one_time_tokens.token_of(
        Purpose.PASSWORD_RESET, "019aa000-0000-7000-8000-000000000001"
    )
    verification = harness.mailed_token(Purpose.EMAIL_VERIFICATION, "auth.user_registered")
    harness.function.forget()
    harness.channel.calls.clear()
    for token in ("nonsense", verification, unknown):
        with pytest.raises(AppError, match="INVALID_TOKEN"):
            confirm_reset(harness, token)
    assert harness.function.hashes == 0
    # Only the one that could be ours was worth asking about.
    assert harness.channel.calls == ["GetOneTimeToken"]


def test_a_reset_asks_the_same_of_the_store_for_known_and_unknown_addresses(
    harness: Harness,
) -> None:
    user = harness.register()
    sent: list[user_repository_pb2.CreateOneTimeTokenRequest] = []
    harness.channel.before["CreateOneTimeToken"] = sent.append
    asked = []
    for email in (EMAIL, "nobody@example.org"):
        harness.channel.calls.clear()
        request_reset(harness, email)
        asked.append(list(harness.channel.calls))
    assert asked[0] == asked[1] == ["GetCredentials", "CreateOneTimeToken"]
    assert [request.user_id for request in sent] == [user.id, ""]
    assert len({len(request.events[0].SerializeToString()) for request in sent}) == 1
    # The decoy's event is never anybody's.
    (event,) = harness.events("auth.password_reset_requested")
    assert event.payload["user_id"] == user.id
    assert "@" not in str(event)


def test_an_account_deleted_while_its_reset_was_asked_for_is_not_told(harness: Harness) -> None:
    harness.register()
    harness.channel.before["CreateOneTimeToken"] = lambda _: (
        harness.repository.state.accounts.clear()
    )
    request_reset(harness)
    assert harness.events("auth.password_reset_requested") == []


def test_a_reset_that_cannot_be_written_is_told(harness: Harness) -> None:
    def down(_: object) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    harness.channel.before["CreateOneTimeToken"] = down
    with pytest.raises(AppError) as refused:
        request_reset(harness)
    assert refused.value.kind is Kind.UNAVAILABLE


def test_a_reset_for_what_is_no_address_is_a_field_error(harness: Harness) -> None:
    with pytest.raises(AppError) as refused:
        request_reset(harness, "no address")
    assert set(refused.value.field_errors) == {"email"}


def test_a_reset_does_not_make_a_suspended_account_active(harness: Harness) -> None:
    user = harness.register()
    harness.set_status(user.id, user_pb2.USER_STATUS_SUSPENDED)
    confirm_reset(harness, reset_token(harness))
    with pytest.raises(AppError, match="ACCOUNT_NOT_ACTIVE"):
        harness.login(password=OTHER_PASSWORD)


def test_required_fields_of_the_password_calls_are_named(harness: Harness) -> None:
    calls: dict[tuple[str, ...], Callable[[], object]] = {
        ("current_password", "new_password"): lambda: harness.auth.ChangePassword(
            pb.ChangePasswordRequest()
        ),
        ("email",): lambda: harness.auth.RequestPasswordReset(pb.RequestPasswordResetRequest()),
        ("token", "new_password"): lambda: harness.auth.ConfirmPasswordReset(
            pb.ConfirmPasswordResetRequest()
        ),
        ("token",): lambda: harness.auth.VerifyEmail(pb.VerifyEmailRequest()),
    }
    for fields, call in calls.items():
        with harness.acting(Actor()), pytest.raises(AppError) as refused:
            call()
        assert set(refused.value.field_errors) == set(fields)
