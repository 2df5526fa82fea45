from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from pydantic import SecretStr

from controller_tier.access_feed import AccessFeed
from controller_tier.access_tokens import MAX_TOKEN_LENGTH, TokenVerifier
from controller_tier.admission import Admission
from controller_tier.authentication import Authentication, current_actor
from controller_tier.signing_keys import PublishedKeys, SharedSecret
from tests.fakes.clock import FakeClock
from tests.fakes.service import FakeServiceTier, stubs_of
from tests.fakes.service.tokens import FakeKey
from tests.unit.controller_tier.edge import Edge, problem_of
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

SECRET = b"a secret of more than thirty-two bytes"
TOO_SLOW = AppError(Kind.DEADLINE, "DEADLINE_EXCEEDED", "Too slow.")
DOWN = AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")
# Changes of a good token that make it a bad one.
BAD_TOKENS: dict[str, dict[str, Any]] = {
    "another issuer": {"claims": {"iss": "eve"}},
    "another audience": {"claims": {"aud": "other-api"}},
    "several audiences": {"claims": {"aud": ["arcana-api", "other-api"]}},
    "an id token": {"headers": {"typ": "JWT"}},
    "no type": {"headers": {"typ": None}},
    "an unknown key": {"headers": {"kid": "unknown"}},
    "no key id": {"headers": {"kid": None}},
    "a key id that is no text": {"headers": {"kid": 7}},
    "no expiry": {"without": ("exp",)},
    "no subject": {"without": ("sub",)},
    "no session": {"without": ("sid",)},
    "no id": {"without": ("jti",)},
    "no time of issue": {"without": ("iat",)},
    "an expiry that is no number": {"claims": {"exp": "tomorrow"}},
    "an expiry that is a claim of truth": {"claims": {"exp": True}},
    "an empty session": {"claims": {"sid": ""}},
    "a subject that is no text": {"claims": {"sub": 7}},
    "no roles": {"without": ("roles",)},
    "roles that are no list": {"claims": {"roles": 7}},
    "roles in one text": {"claims": {"roles": "admin"}},
    "roles that are no texts": {"claims": {"roles": [["admin"]]}},
}


@pytest.mark.parametrize("change", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_a_token_that_is_not_ours_in_every_part_is_refused(
    edge: Edge, change: dict[str, Any]
) -> None:
    user, _ = edge.signed_in()
    [session] = edge.tier.sessions
    assert (
        edge.call("GET", "auth/me", token=edge.tier.mint.issue(user.id, session)).status_code == 200
    )
    answer = edge.call("GET", "auth/me", token=edge.tier.mint.issue(user.id, session, **change))
    problem_of(answer, 401, "INVALID_TOKEN")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_the_token_does_not_choose_its_algorithm(edge: Edge) -> None:
    user, _ = edge.signed_in()
    mint = edge.tier.mint
    for token in (
        mint.issue(user.id, "s", key=SECRET, algorithm="HS256"),
        mint.issue(user.id, "s", key=b"", algorithm="none"),
        # The classic: the public key as an HMAC secret.
        mint.issue(user.id, "s", key=mint.key.x.encode() * 2, algorithm="HS256"),
        mint.issue(user.id, "s", key=FakeKey().private),
    ):
        problem_of(edge.call("GET", "auth/me", token=token), 401, "INVALID_TOKEN")


@pytest.mark.parametrize(
    "token", ["x", "a.b.c", "a.b", "....", "eyJhbGciOiJub25lIn0..", "a" * (MAX_TOKEN_LENGTH + 1)]
)
def test_what_is_no_jwt_is_an_invalid_token(edge: Edge, token: str) -> None:
    problem_of(edge.call("GET", "auth/me", token=token), 401, "INVALID_TOKEN")


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer a b", "bearer é", "BEARER ,"])
def test_a_bearer_header_without_a_token_is_invalid(edge: Edge, header: str) -> None:
    answer = edge.call("GET", "auth/me", headers={"Authorization": header})
    problem_of(answer, 401, "INVALID_TOKEN")


@pytest.mark.parametrize("header", ["", "Basic YTpi", "Token x"])
def test_another_scheme_presents_no_token(edge: Edge, header: str) -> None:
    answer = edge.call("GET", "auth/me", headers={"Authorization": header})
    problem_of(answer, 401, "UNAUTHENTICATED")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="arcana"'


def test_the_scheme_may_be_written_in_any_case(edge: Edge) -> None:
    _, token = edge.signed_in()
    headers = {"Authorization": f"bEARER  {token}"}
    assert edge.call("GET", "auth/me", headers=headers).status_code == 200


def test_a_token_expires_also_when_it_is_remembered(edge: Edge) -> None:
    _, token = edge.signed_in()
    assert edge.call("GET", "auth/me", token=token).status_code == 200
    edge.clock.advance(3599)
    edge.feed.poll()
    assert edge.call("GET", "auth/me", token=token).status_code == 200
    edge.clock.advance(1)
    answer = edge.call("GET", "auth/me", token=token)
    problem_of(answer, 401, "TOKEN_EXPIRED")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_the_actor_reaches_the_service_tier(edge: Edge) -> None:
    user, token = edge.signed_in("premium")
    edge.call("GET", "auth/me", token=token, headers={"X-Request-ID": "r-1"})
    call = edge.tier.last("GetUser").call
    assert call is not None
    assert (call.actor.subject, call.actor.roles) == (user.id, frozenset({"premium", "user"}))
    assert call.actor.session_id in edge.tier.sessions
    assert call.request_id == "r-1"


def test_a_stale_feed_asks_for_each_request_and_takes_its_roles(edge: Edge) -> None:
    user, token = edge.signed_in()
    edge.clock.advance(1.5)
    assert edge.call("GET", "auth/me", token=token).status_code == 200
    assert "CheckSession" in edge.tier.methods()
    edge.tier.accounts[user.id].user.roles.append("admin")
    assert edge.call("GET", "users", token=token).status_code == 200
    edge.tier.end_sessions_of(user.id)
    problem_of(edge.call("GET", "auth/me", token=token), 401, "TOKEN_REVOKED")


def test_nothing_is_served_on_stale_knowledge(edge: Edge) -> None:
    _, token = edge.signed_in()
    edge.clock.advance(1.5)
    for failure, status in ((DOWN, 503), (TOO_SLOW, 504)):
        edge.tier.failures["CheckSession"] = failure
        problem_of(edge.call("GET", "auth/me", token=token), status, failure.code)


def test_a_session_of_somebody_else_is_no_session(edge: Edge) -> None:
    user, _ = edge.signed_in()
    other, _ = edge.signed_in(email="eve@example.org")
    [own] = [each for each in edge.tier.sessions.values() if each.user_id == other.id]
    edge.clock.advance(1.5)
    token = edge.tier.mint.issue(user.id, own.id)
    problem_of(edge.call("GET", "auth/me", token=token), 401, "TOKEN_REVOKED")


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (DOWN, 503, "SERVICE_UNAVAILABLE"),
        (AppError(Kind.INTERNAL, "INTERNAL_ERROR", "?"), 503, "SERVICE_UNAVAILABLE"),
        (TOO_SLOW, 504, "DEADLINE_EXCEEDED"),
    ],
)
def test_without_keys_a_token_can_be_neither_good_nor_bad(
    failure: AppError, status: int, code: str
) -> None:
    edge = Edge.make()
    _, token = edge.signed_in()
    edge.tier.failures["GetJwks"] = failure
    for _ in range(3):
        problem_of(edge.call("GET", "auth/me", token=token), status, code)
    # Those who come while it fails do not each wait for it.
    assert edge.tier.methods().count("GetJwks") == 1
    del edge.tier.failures["GetJwks"]
    edge.clock.advance(1)
    assert edge.call("GET", "auth/me", token=token).status_code == 200


def test_hs256_is_verified_by_the_shared_secret() -> None:
    edge = Edge.make(jwt_algorithm="HS256", jwt_secret=SecretStr(SECRET.decode()))
    user, _ = edge.signed_in()
    [session] = edge.tier.sessions
    mint = edge.tier.mint
    good = mint.issue(user.id, session, key=SECRET, algorithm="HS256", headers={"kid": None})
    assert edge.call("GET", "auth/me", token=good).status_code == 200
    named = mint.issue(user.id, session, key=SECRET, algorithm="HS256")
    problem_of(edge.call("GET", "auth/me", token=named), 401, "INVALID_TOKEN")
    problem_of(
        edge.call("GET", "auth/me", token=mint.issue(user.id, session)), 401, "INVALID_TOKEN"
    )
    assert edge.call("GET", "/.well-known/jwks.json").json == {"keys": []}


# Below the application.


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tier(clock: FakeClock) -> FakeServiceTier:
    return FakeServiceTier(clock)


@pytest.fixture
def keys(tier: FakeServiceTier, clock: FakeClock) -> PublishedKeys:
    return PublishedKeys(stubs_of(tier).auth, clock, max_age_seconds=60)


def test_a_new_key_is_found_at_once_and_unknown_ones_do_not_flood(
    tier: FakeServiceTier, clock: FakeClock, keys: PublishedKeys
) -> None:
    assert keys.find(tier.mint.key.kid) is not None
    tier.mint.key = FakeKey()
    assert keys.find(tier.mint.key.kid) is None
    clock.advance(1)
    assert keys.find(tier.mint.key.kid) is not None
    asked = len(tier.received)
    for number in range(50):
        assert keys.find(f"unknown-{number}") is None
    assert len(tier.received) == asked


def test_keys_are_read_again_when_they_are_old(
    tier: FakeServiceTier, clock: FakeClock, keys: PublishedKeys
) -> None:
    assert keys.find(tier.mint.key.kid) is not None
    clock.advance(59)
    assert keys.find(tier.mint.key.kid) is not None
    assert len(tier.received) == 1
    clock.advance(1)
    assert keys.documents()[0]["kid"] == tier.mint.key.kid
    assert len(tier.received) == 2


def test_old_keys_go_on_while_no_newer_ones_can_be_had(
    tier: FakeServiceTier, clock: FakeClock, keys: PublishedKeys
) -> None:
    assert keys.find(tier.mint.key.kid) is not None
    tier.failures["GetJwks"] = DOWN
    clock.advance(61)
    assert keys.find(tier.mint.key.kid) is not None
    asked = len(tier.received)
    assert keys.find(tier.mint.key.kid) is not None
    assert len(tier.received) == asked


def test_a_key_that_is_withdrawn_ends_the_tokens_that_are_remembered(
    tier: FakeServiceTier, clock: FakeClock, keys: PublishedKeys
) -> None:
    verifier = _verifier(keys, clock)
    token = tier.mint.issue("u", "s")
    assert verifier.claims_of(token).subject == "u"
    tier.mint.key = FakeKey()
    clock.advance(60)
    with pytest.raises(AppError) as raised:
        verifier.claims_of(token)
    assert raised.value.code == "INVALID_TOKEN"


def test_keys_of_other_algorithms_and_broken_ones_are_left_out(
    tier: FakeServiceTier, clock: FakeClock
) -> None:
    class OddAuth:
        def GetJwks(self, request: Any, timeout: float | None = None) -> Any:
            answer = stubs_of(tier).auth.GetJwks(request)
            good = answer.keys[0]
            answer.keys.add(kty="OKP", crv="Ed25519", x=good.x, kid="rsa", alg="RS256", use="sig")
            answer.keys.add(kty="OKP", crv="Ed25519", x="!", kid="broken", alg="EdDSA", use="sig")
            answer.keys.add(kty="OKP", crv="Ed25519", x=good.x, kid="", alg="EdDSA", use="sig")
            return answer

    keys = PublishedKeys(OddAuth(), clock, max_age_seconds=60)  # type: ignore[arg-type]  # one method is enough
    assert keys.find(tier.mint.key.kid) is not None
    assert [keys.find(kid) for kid in ("rsa", "broken", "", None)] == [None] * 4


def test_only_so_many_tokens_are_remembered(clock: FakeClock, tier: FakeServiceTier) -> None:
    verifier = _verifier(SharedSecret(SECRET), clock, remembered=2)
    tokens = [
        tier.mint.issue("u", f"s{n}", key=SECRET, algorithm="HS256", headers={"kid": None})
        for n in range(5)
    ]
    for token in tokens:
        verifier.claims_of(token)
    assert len(verifier._known) == 2
    assert [verifier.claims_of(token).session_id for token in tokens] == [
        "s0",
        "s1",
        "s2",
        "s3",
        "s4",
    ]


def test_optional_auth_takes_nobody_but_no_bad_token(
    clock: FakeClock, tier: FakeServiceTier, keys: PublishedKeys
) -> None:
    feed = _feed(tier, clock)
    feed.poll()
    authentication = Authentication(Admission(_verifier(keys, clock), feed))
    user = tier.add_user()
    view: Callable[[], Actor] = authentication.optional_auth(current_actor)
    app = Flask(__name__)

    def ask(headers: dict[str, str]) -> Actor:
        call = Call(Actor(), "r", Deadline.after(5))
        with app.test_request_context(headers=headers), call_scope(call):
            return view()

    assert ask({}).is_anonymous
    assert ask({"Authorization": f"Bearer {tier.sign_in(user)}"}).subject == user.id
    with pytest.raises(AppError) as raised:
        ask({"Authorization": "Bearer x"})
    assert raised.value.code == "INVALID_TOKEN"


def test_a_view_outside_of_a_request_has_nobody() -> None:
    assert current_actor().is_anonymous


def test_a_guarded_view_needs_a_call(
    clock: FakeClock, tier: FakeServiceTier, keys: PublishedKeys
) -> None:
    admission = Admission(_verifier(keys, clock), _feed(tier, clock))
    view = Authentication(admission).optional_auth(current_actor)
    with Flask(__name__).test_request_context(), pytest.raises(RuntimeError):
        view()


def _verifier(keys: Any, clock: FakeClock, remembered: int = 100) -> TokenVerifier:
    return TokenVerifier(keys, clock, issuer="arcana", audience="arcana-api", remembered=remembered)


def _feed(tier: FakeServiceTier, clock: FakeClock) -> AccessFeed:
    return AccessFeed(
        stubs_of(tier).auth,
        clock,
        interval_seconds=0.25,
        max_age_seconds=1,
    )
