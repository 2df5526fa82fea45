from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from service_tier.access_tokens import AccessTokenIssuer
from service_tier.domain.claims import AccessClaims
from service_tier.keys import (
    KeyRing,
    PublicKey,
    ed25519_ring,
    new_signing_pem,
    read_signing_pem,
    shared_secret_ring,
)
from service_tier.one_time_tokens import OneTimeTokens, Purpose
from service_tier.refresh_tokens import new_refresh_token, presented_refresh_token
from tests.fakes.clock import FakeClock
from tier_runtime.errors import AppError
from tier_runtime.ids import Uuid7Source
from tier_runtime.startup import StartupError

SECRET = b"0123456789abcdef0123456789abcdef"


def public_pem(private_pem: bytes) -> bytes:
    key = load_pem_private_key(private_pem, password=None)
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def issued(ring: KeyRing) -> str:
    issuer = AccessTokenIssuer(
        ring.signing,
        issuer="arcana",
        audience="arcana-api",
        lifetime=timedelta(hours=1),
        clock=FakeClock(datetime.now(UTC)),
        ids=Uuid7Source(),
    )
    return issuer.issue(user_id="u1", session_id="s1", roles=["user", "admin"])


def verified(token: str, keys: tuple[PublicKey, ...]) -> dict[str, object]:
    """Verify as the controller tier does: by kid, from the published keys only."""
    by_kid = {
        key.kid: jwt.PyJWK({"kty": "OKP", "crv": "Ed25519", "x": key.x, "alg": "EdDSA"})
        for key in keys
    }
    key = by_kid[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, object] = jwt.decode(
        token, key, algorithms=["EdDSA"], audience="arcana-api", issuer="arcana"
    )
    return claims


def test_the_kid_is_the_thumbprint_that_rfc_8037_works_out() -> None:
    # RFC 8037, appendix A.3.
    key = PublicKey("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    assert key.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_token_verifies_by_the_published_key_its_header_names() -> None:
    ring = ed25519_ring(new_signing_pem(), [])
    claims = verified(issued(ring), ring.published)
    assert claims["roles"] == ["admin", "user"]
    assert claims["sid"] == "s1"


def test_tokens_of_both_keys_verify_throughout_a_rotation(tmp_path: Path) -> None:
    old, new = new_signing_pem(), new_signing_pem()
    before = ed25519_ring(old, [])
    announced = ed25519_ring(old, [(tmp_path, public_pem(new))])
    swapped = ed25519_ring(new, [(tmp_path, public_pem(old))])
    after = ed25519_ring(new, [])
    # A verifier may hold the keys of the step before or of the step after the signer's.
    for signer, verifiers in (
        (before, [before, announced]),
        (announced, [before, announced, swapped]),
        (swapped, [announced, swapped, after]),
        (after, [swapped, after]),
    ):
        for verifier in verifiers:
            assert verified(issued(signer), verifier.published)["sub"] == "u1"
    with pytest.raises(KeyError):
        verified(issued(before), after.published)


def test_the_signing_key_is_published_first_and_once(tmp_path: Path) -> None:
    signing, other = new_signing_pem(), new_signing_pem()
    ring = ed25519_ring(signing, [(tmp_path, other), (tmp_path, public_pem(signing))])
    assert len(ring.published) == 2
    assert ring.published[0] == ring.signing.public


def test_a_shared_secret_signs_and_publishes_nothing() -> None:
    ring = shared_secret_ring(SECRET)
    token = issued(ring)
    assert ring.published == ()
    assert "kid" not in jwt.get_unverified_header(token)
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="arcana-api")
    assert claims["sub"] == "u1"


def test_no_key_shows_itself_in_its_repr() -> None:
    assert SECRET.decode() not in repr(shared_secret_ring(SECRET))


def test_the_signing_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    pem = read_signing_pem(tmp_path, None)
    assert read_signing_pem(tmp_path, None) == pem
    file = tmp_path / "keys" / "jwt_signing_key.pem"
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_signing_pem(tmp_path / "elsewhere", file) == pem


def test_a_named_key_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="Cannot read"):
        read_signing_pem(tmp_path, tmp_path / "missing.pem")
    assert not (tmp_path / "missing.pem").exists()


def elliptic_pem() -> bytes:
    return generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


@pytest.mark.parametrize("pem", [b"", b"no key at all", public_pem(new_signing_pem())])
def test_what_is_no_private_key_does_not_sign(pem: bytes) -> None:
    with pytest.raises(StartupError, match="signing key"):
        ed25519_ring(pem, [])


def test_a_key_of_another_curve_neither_signs_nor_verifies(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="not an Ed25519 key"):
        ed25519_ring(elliptic_pem(), [])
    with pytest.raises(StartupError, match="not an Ed25519 key"):
        ed25519_ring(new_signing_pem(), [(tmp_path, public_pem(elliptic_pem()))])
    with pytest.raises(StartupError, match="not a key"):
        ed25519_ring(new_signing_pem(), [(tmp_path, elliptic_pem())])


@pytest.mark.parametrize(
    "pem", [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"]
)
def test_a_verification_file_that_is_no_key_is_named(tmp_path: Path, pem: bytes) -> None:
    with pytest.raises(StartupError, match=r"other\.pem"):
        ed25519_ring(new_signing_pem(), [(tmp_path / "other.pem", pem)])


def test_an_encrypted_signing_key_is_refused_without_quoting_it() -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    with pytest.raises(StartupError, match="unencrypted"):
        ed25519_ring(pem, [])


def test_times_in_a_token_are_whole_seconds_and_never_promise_too_much() -> None:
    moment = datetime(2026, 11, 21, 4, 0, 0, 999_999, tzinfo=UTC)
    claims = AccessClaims("i", "a", "u", "s", "t", ("user",), moment, timedelta(seconds=60))
    payload = claims.payload()
    assert payload["iat"] == int(datetime(2026, 11, 21, 4, tzinfo=UTC).timestamp())
    assert payload["exp"] == int(datetime(2026, 11, 21, 4, 1, tzinfo=UTC).timestamp())


def test_a_refresh_token_is_32_random_bytes_known_by_its_sha256() -> None:
    token = new_refresh_token(lambda size: bytes(range(size)))
    assert base64.urlsafe_b64decode(token.text + "=") == bytes(range(32))
    assert token.sha256 == hashlib.sha256(token.text.encode()).digest()
    assert presented_refresh_token(token.text) == token
    assert token.text not in repr(token)


@given(st.text(max_size=60))
def test_what_has_not_a_refresh_tokens_form_is_none(text: str) -> None:
    presented = presented_refresh_token(text)
    assert (presented is not None) == (
        len(text) == 43 and text.isascii() and text.replace("-", "a").replace("_", "a").isalnum()
    )


@pytest.fixture
def one_time_tokens() -> OneTimeTokens:
    return OneTimeTokens(SECRET, FakeClock(), Uuid7Source())


def test_a_one_time_token_can_be_made_again_from_its_id(one_time_tokens: OneTimeTokens) -> None:
    kept = one_time_tokens.new(Purpose.PASSWORD_RESET)
    token = one_time_tokens.token_of(Purpose.PASSWORD_RESET, kept.id)
    assert hashlib.sha256(token.encode()).digest() == kept.token_sha256
    assert one_time_tokens.presented_digest(Purpose.PASSWORD_RESET, token) == kept.token_sha256


def test_reset_tokens_live_an_hour_and_verification_tokens_a_day(
    one_time_tokens: OneTimeTokens,
) -> None:
    now = FakeClock().now()
    for purpose, hours in ((Purpose.PASSWORD_RESET, 1), (Purpose.EMAIL_VERIFICATION, 24)):
        expires = one_time_tokens.new(purpose).expire_time.ToDatetime(tzinfo=UTC)
        assert expires - now == timedelta(hours=hours)


def test_a_token_for_one_purpose_is_none_for_another(one_time_tokens: OneTimeTokens) -> None:
    kept = one_time_tokens.new(Purpose.PASSWORD_RESET)
    token = one_time_tokens.token_of(Purpose.PASSWORD_RESET, kept.id)
    with pytest.raises(AppError, match="INVALID_TOKEN"):
        one_time_tokens.presented_digest(Purpose.EMAIL_VERIFICATION, token)


def test_a_token_of_another_secret_is_none_of_ours(one_time_tokens: OneTimeTokens) -> None:
    stranger = OneTimeTokens(SECRET[::-1], FakeClock(), Uuid7Source())
    token = stranger.token_of(Purpose.PASSWORD_RESET, Uuid7Source().new_id())
    with pytest.raises(AppError, match="INVALID_TOKEN"):
        one_time_tokens.presented_digest(Purpose.PASSWORD_RESET, token)


@given(st.text(max_size=80) | st.text(alphabet="ABCab01-_+/=é", min_size=64, max_size=64))
def test_no_text_of_somebody_elses_is_a_one_time_token(text: str) -> None:
    tokens = OneTimeTokens(SECRET, FakeClock(), Uuid7Source())
    with pytest.raises(AppError, match="INVALID_TOKEN"):
        tokens.presented_digest(Purpose.PASSWORD_RESET, text)
