from __future__ import annotations

from collections.abc import Callable

import jwt
import pytest

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import user_pb2
from arcana.service.v1 import auth_service_pb2 as pb
from tests.unit.service_tier.harness import ADMIN, EMAIL, Harness
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind


def refresh(harness: Harness, token: str) -> pb.TokenPair:
    return harness.auth.RefreshSession(pb.RefreshSessionRequest(refresh_token=token)).tokens


def refused_refresh(harness: Harness, token: str) -> str:
    with pytest.raises(AppError) as refused:
        refresh(harness, token)
    return refused.value.code


def test_a_refresh_gives_another_pair_for_the_same_session(harness: Harness) -> None:
    harness.register()
    first = harness.login()
    second = refresh(harness, first.refresh_token)
    before, after = (
        jwt.decode(pair.access_token, options={"verify_signature": False})
        for pair in (first, second)
    )
    assert before["sid"] == after["sid"]
    assert before["jti"] != after["jti"]
    assert second.refresh_token != first.refresh_token


def test_second_use_of_a_refresh_token_ends_the_session(harness: Harness) -> None:
    harness.register()
    first = harness.login()
    second = refresh(harness, first.refresh_token)
    assert refused_refresh(harness, first.refresh_token) == "TOKEN_REVOKED"
    assert refused_refresh(harness, second.refresh_token) == "TOKEN_REVOKED"


def test_a_refresh_carries_the_roles_of_now(harness: Harness) -> None:
    user = harness.register()
    pair = harness.login()
    harness.repository.state.accounts[user.id].user.roles[:] = ["premium", "user"]
    claims = jwt.decode(
        refresh(harness, pair.refresh_token).access_token, options={"verify_signature": False}
    )
    assert claims["roles"] == ["premium", "user"]


def test_unknown_malformed_and_expired_refresh_tokens_are_told_apart(harness: Harness) -> None:
    harness.register()
    pair = harness.login()
    harness.channel.calls.clear()
    assert refused_refresh(harness, "not one of ours") == "INVALID_TOKEN"
    assert harness.channel.calls == []
    assert refused_refresh(harness, "A" * 43) == "INVALID_TOKEN"
    harness.clock.advance(604_800)
    assert refused_refresh(harness, pair.refresh_token) == "TOKEN_EXPIRED"


def test_a_refresh_of_an_account_that_is_not_active_is_refused(harness: Harness) -> None:
    user = harness.register()
    pair = harness.login()
    account = harness.repository.state.accounts[user.id]
    account.user.status = user_pb2.USER_STATUS_SUSPENDED
    assert refused_refresh(harness, pair.refresh_token) == "ACCOUNT_NOT_ACTIVE"


def test_an_access_token_is_never_a_refresh_token(harness: Harness) -> None:
    harness.register()
    assert refused_refresh(harness, harness.login().access_token) == "INVALID_TOKEN"


def test_logout_ends_the_session_and_does_not_mind_tokens_it_does_not_know(
    harness: Harness,
) -> None:
    harness.register()
    pair = harness.login()
    for token in (pair.refresh_token, pair.refresh_token, "A" * 43, "not one of ours"):
        harness.auth.Logout(pb.LogoutRequest(refresh_token=token))
    assert refused_refresh(harness, pair.refresh_token) == "TOKEN_REVOKED"


def test_logout_all_ends_every_session_of_the_actor_and_nobody_elses(harness: Harness) -> None:
    harness.register()
    harness.register(email="other@example.org")
    mine, also_mine, other = harness.login(), harness.login(), harness.login("other@example.org")
    with harness.acting(harness.actor()):
        harness.auth.LogoutAll(pb.LogoutAllRequest())
    assert refused_refresh(harness, mine.refresh_token) == "TOKEN_REVOKED"
    assert refused_refresh(harness, also_mine.refresh_token) == "TOKEN_REVOKED"
    assert refresh(harness, other.refresh_token).access_token


def test_sessions_are_listed_newest_first_and_page_by_page(harness: Harness) -> None:
    harness.register()
    actor = harness.actor()
    for _ in range(2):
        harness.clock.advance(60)
        harness.login()
    with harness.acting(actor):
        page = paging_pb2.PageRequest(page_size=2)
        first = harness.auth.ListSessions(pb.ListSessionsRequest(page=page))
        page.cursor = first.page.next_cursor
        second = harness.auth.ListSessions(pb.ListSessionsRequest(page=page))
    assert [len(first.sessions), len(second.sessions)] == [2, 1]
    assert first.page.total == 3
    assert second.sessions[0].id == actor.session_id
    assert second.sessions[0].user_id == actor.subject


def test_one_session_of_the_actors_own_can_be_ended_once(harness: Harness) -> None:
    harness.register()
    actor = harness.actor()
    request = pb.EndSessionRequest(session_id=actor.session_id)
    with harness.acting(actor):
        harness.auth.EndSession(request)
        with pytest.raises(AppError) as again:
            harness.auth.EndSession(request)
    assert (again.value.kind, again.value.code) == (Kind.MISSING, "NOT_FOUND")


def test_somebody_elses_session_is_not_found(harness: Harness) -> None:
    harness.register()
    harness.register(email="other@example.org")
    other = harness.actor("other@example.org")
    with harness.acting(harness.actor()), pytest.raises(AppError) as refused:
        harness.auth.EndSession(pb.EndSessionRequest(session_id=other.session_id))
    assert refused.value.code == "NOT_FOUND"


def test_a_living_session_checks_with_its_roles_and_an_ended_one_is_revoked(
    harness: Harness,
) -> None:
    harness.register()
    actor = harness.actor()
    request = pb.CheckSessionRequest(session_id=actor.session_id)
    found = harness.auth.CheckSession(request)
    assert (found.user_id, list(found.roles)) == (actor.subject, ["user"])
    with harness.acting(actor):
        harness.auth.LogoutAll(pb.LogoutAllRequest())
    with pytest.raises(AppError) as refused:
        harness.auth.CheckSession(request)
    assert (refused.value.kind, refused.value.code) == (Kind.UNAUTHENTICATED, "TOKEN_REVOKED")


def test_a_check_that_cannot_be_made_is_not_taken_for_an_ended_session(harness: Harness) -> None:
    def down(_: object) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    harness.channel.before["GetSession"] = down
    with pytest.raises(AppError) as refused:
        harness.auth.CheckSession(pb.CheckSessionRequest(session_id="s"))
    assert refused.value.kind is Kind.UNAVAILABLE


@pytest.mark.parametrize("size", [-1, 101])
def test_a_page_of_a_size_that_is_not_offered_is_a_field_error(harness: Harness, size: int) -> None:
    page = paging_pb2.PageRequest(page_size=size, page=-1)
    with harness.acting(ADMIN), pytest.raises(AppError) as refused:
        harness.auth.ListSessions(pb.ListSessionsRequest(page=page))
    assert set(refused.value.field_errors) == {"page_size", "page"}


def test_what_needs_an_actor_says_so(harness: Harness) -> None:
    calls = (
        lambda: harness.auth.LogoutAll(pb.LogoutAllRequest()),
        lambda: harness.auth.ListSessions(pb.ListSessionsRequest()),
        lambda: harness.auth.EndSession(pb.EndSessionRequest(session_id="s")),
        lambda: harness.auth.ResendVerification(pb.ResendVerificationRequest()),
        lambda: harness.auth.ChangePassword(
            pb.ChangePasswordRequest(current_password="a", new_password="b")
        ),
    )
    for call in calls:
        with harness.acting(Actor()), pytest.raises(AppError) as refused:
            call()
        assert refused.value.code == "UNAUTHENTICATED"


def test_required_fields_of_the_session_calls_are_named(harness: Harness) -> None:
    calls: list[tuple[str, Callable[[], object]]] = [
        ("refresh_token", lambda: harness.auth.RefreshSession(pb.RefreshSessionRequest())),
        ("refresh_token", lambda: harness.auth.Logout(pb.LogoutRequest())),
        ("session_id", lambda: harness.auth.EndSession(pb.EndSessionRequest())),
        ("session_id", lambda: harness.auth.CheckSession(pb.CheckSessionRequest())),
    ]
    for field, call in calls:
        with pytest.raises(AppError) as refused:
            call()
        assert set(refused.value.field_errors) == {field}


def test_the_published_keys_verify_a_token(harness: Harness) -> None:
    harness.register()
    pair = harness.login()
    (key,) = harness.auth.GetJwks(pb.GetJwksRequest()).keys
    assert (key.kty, key.crv, key.alg, key.use) == ("OKP", "Ed25519", "EdDSA", "sig")
    assert jwt.get_unverified_header(pair.access_token)["kid"] == key.kid
    jwk = jwt.PyJWK({"kty": key.kty, "crv": key.crv, "x": key.x, "alg": key.alg})
    claims = jwt.decode(
        pair.access_token,
        jwk,
        algorithms=["EdDSA"],
        audience="arcana-api",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["sub"] == harness.repository.state.account_by_email(EMAIL).user.id  # type: ignore[union-attr]  # It was just made.
