from __future__ import annotations

import pytest

from arcana.service.v1 import auth_service_pb2 as pb
from service_tier.one_time_tokens import Purpose
from tests.unit.service_tier.harness import Harness
from tier_runtime.errors import AppError, Kind


def verify(harness: Harness, token: str) -> None:
    harness.auth.VerifyEmail(pb.VerifyEmailRequest(token=token))


def resend(harness: Harness) -> None:
    harness.auth.ResendVerification(pb.ResendVerificationRequest())


def registered_token(harness: Harness) -> str:
    return harness.mailed_token(Purpose.EMAIL_VERIFICATION, "auth.user_registered")


def test_a_verification_token_verifies_once(harness: Harness) -> None:
    user = harness.register()
    token = registered_token(harness)
    verify(harness, token)
    assert harness.repository.state.accounts[user.id].user.email_verified
    (event,) = harness.events("user.updated")
    assert dict(event.payload) == {"user_id": user.id, "changed": "email_verified"}
    with pytest.raises(AppError, match="INVALID_TOKEN"):
        verify(harness, token)


def test_a_verification_token_expires_after_a_day(harness: Harness) -> None:
    harness.register()
    harness.clock.advance(24 * 3600)
    with pytest.raises(AppError, match="TOKEN_EXPIRED"):
        verify(harness, registered_token(harness))


def test_a_forged_token_is_refused_without_asking_anybody(harness: Harness) -> None:
    harness.channel.calls.clear()
    with pytest.raises(AppError, match="INVALID_TOKEN"):
        verify(harness, "A" * 64)
    assert harness.channel.calls == []


def test_a_resent_token_verifies_too(harness: Harness) -> None:
    user = harness.register()
    with harness.acting(harness.actor()):
        resend(harness)
    (event,) = harness.events("auth.verification_requested")
    assert set(event.payload) == {"user_id", "token_id"}
    verify(harness, harness.mailed_token(Purpose.EMAIL_VERIFICATION, "auth.verification_requested"))
    assert harness.repository.state.accounts[user.id].user.email_verified


def test_nothing_is_resent_for_an_address_that_is_verified(harness: Harness) -> None:
    harness.register()
    verify(harness, registered_token(harness))
    with harness.acting(harness.actor()):
        resend(harness)
    assert harness.events("auth.verification_requested") == []


@pytest.mark.parametrize("method", ["GetCredentials", "CreateOneTimeToken"])
def test_resending_for_an_account_that_is_gone_tells_that_the_session_is(
    harness: Harness, method: str
) -> None:
    harness.register()
    actor = harness.actor()
    harness.channel.before[method] = lambda _: harness.repository.state.accounts.clear()
    with harness.acting(actor), pytest.raises(AppError) as refused:
        resend(harness)
    assert (refused.value.kind, refused.value.code) == (Kind.UNAUTHENTICATED, "TOKEN_REVOKED")


def test_resending_tells_when_the_store_is_down(harness: Harness) -> None:
    def down(_: object) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    harness.register()
    actor = harness.actor()
    harness.channel.before["CreateOneTimeToken"] = down
    with harness.acting(actor), pytest.raises(AppError) as refused:
        resend(harness)
    assert refused.value.kind is Kind.UNAVAILABLE
