from __future__ import annotations

import base64
import json
import math
import string
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.security import generate_password_hash

from tier_runtime.redaction import REDACTED, is_sensitive_key, redact, redact_text

BASE64URL = string.ascii_letters + string.digits + "-_"
ANY_TEXT = st.text(st.characters(codec=None), max_size=60)
# What stands around a secret in real text: a space, a quote, a comma with a space, an end.
AROUND = st.sampled_from(["", " ", "x ", "\n", '"', "'", "user=", '{"k": "', "(", ", "])


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def json_part(content: dict[str, str]) -> str:
    return base64url(json.dumps(content, separators=(",", ":")).encode())


JWTS = st.builds(
    lambda header, claims, signature: ".".join(
        (json_part(header), json_part(claims), base64url(signature))
    ),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), min_size=1, max_size=3),
    st.dictionaries(st.text(max_size=5), st.text(max_size=20), min_size=1, max_size=3),
    st.binary(min_size=0, max_size=64),
)
OPAQUE = st.binary(min_size=48, max_size=64).map(base64url)


@given(email=st.emails(), before=AROUND, after=AROUND)
def test_no_email_address_passes(email: str, before: str, after: str) -> None:
    text = redact_text(f"{before}{email}{after}")
    assert REDACTED in text
    assert set(text.replace(REDACTED, "")) <= set(before + after)


@given(jwt=JWTS, before=AROUND, after=AROUND)
def test_no_jwt_passes(jwt: str, before: str, after: str) -> None:
    text = redact_text(f"{before}{jwt}{after}")
    assert REDACTED in text
    assert set(text.replace(REDACTED, "")) <= set(before + after)


def looks_random(token: str) -> bool:
    # All but a few of 48 random bytes do.
    return token.lower() != token != token.upper() and any(c.isdigit() for c in token)


@given(token=OPAQUE.filter(looks_random))
def test_no_refresh_or_one_time_token_passes(token: str) -> None:
    assert redact_text(f"token was {token}.") == f"token was {REDACTED}."


SENSITIVE_KEYS = st.sampled_from(
    [
        "password",
        "new_password",
        "passwordHash",
        "PASSWD",
        "token",
        "refresh_token",
        "Authorization",
        "authorisation",
        "email",
        "e_mail",
        "E-Mail",
        "actor_email",
        "Set-Cookie",
        "client_secret",
        "jwt",
        "credentials",
        "api_key",
        "X-API-Key",
        "privateKey",
        "jwt_signing_key",
    ],
)


@given(
    key=SENSITIVE_KEYS,
    value=st.text(min_size=1) | st.integers() | st.lists(st.text(), min_size=1) | st.binary(),
)
def test_no_value_of_a_sensitive_key_passes(key: str, value: object) -> None:
    assert redact({key: value}) == {key: REDACTED}
    assert redact(value, key) == REDACTED


def test_whether_there_is_a_token_may_be_told() -> None:
    assert redact({"token": None, "email_verified": True}) == {
        "token": None,
        "email_verified": True,
    }


@pytest.mark.parametrize("key", ["event", "method", "path", "request_id", "code", "user_id"])
def test_ordinary_keys_are_not_sensitive(key: str) -> None:
    assert not is_sensitive_key(key)


@pytest.mark.parametrize(
    "text",
    [
        "/arcana.repository.v1.UserRepository/GetUserByCredentialVersion",
        "0192f3a4-1b2c-7d3e-8f40-123456789abc",
        "127.0.0.1:50051",
        "arcana.service.v1.auth_service_pb2_grpc.AuthServiceServicer",
        "test_second_use_of_a_refresh_token_ends_the_session_and_all_of_its_tokens",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        '  File "/srv/arcana/x.py", line 3, in f\n    @property\n    def g(self): ...',
        "grpc://127.0.0.1:50051 is 5 @ 3",
        "The basic idea",
        "key.value.pair",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact_text(text) == text.replace("The basic idea", f"The basic {REDACTED}")


def test_a_password_in_a_url_is_masked_and_the_rest_stays_readable() -> None:
    masked = redact_text("cannot reach mysql+pymysql://arcana:hunter2@db:3306/arcana")
    assert masked == f"cannot reach mysql+pymysql://arcana:{REDACTED}@db:3306/arcana"


@pytest.mark.parametrize(
    "text",
    [
        "GET /users?search=ada%40example.org",
        "Key (email_key)=(ada@example.org) already exists",
        '{"to":"ada@example.org"}',
        "ada@localhost",
        "<ada@example.org>",
    ],
)
def test_an_address_is_found_where_libraries_put_it(text: str) -> None:
    assert "ada" not in redact_text(text)


@pytest.mark.parametrize("method", ["scrypt:1024:8:1", "pbkdf2:sha256:1000"])
@pytest.mark.parametrize("frame", ["{}", "hash={}, next", '{{"hash": "{}"}}', "'{}'"])
def test_no_password_hash_passes(method: str, frame: str) -> None:
    hashed = generate_password_hash("hunter2", method)
    assert redact_text(frame.format(hashed)) == frame.format(REDACTED)


def test_the_name_of_a_hash_method_may_be_told() -> None:
    assert redact_text("scrypt:131072:8:1 costs $5") == "scrypt:131072:8:1 costs $5"


def test_bearer_and_basic_credentials_are_removed() -> None:
    assert redact_text("authz: Bearer abc.def") == f"authz: Bearer {REDACTED}"
    assert redact_text("authz: basic dTpw") == f"authz: basic {REDACTED}"


def test_ids_chosen_by_callers_stay_whole() -> None:
    odd = "A1" + base64url(bytes(range(60)))
    assert redact({"request_id": odd, "other": odd}) == {"request_id": odd, "other": REDACTED}
    assert redact("\ud800", "request_id") == "\\ud800"


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(ANY_TEXT | st.integers(), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=30,
)


@given(JSON_LIKE)
def test_whatever_is_logged_becomes_a_json_line(value: Any) -> None:
    assert b"\n" not in orjson.dumps(redact({"value": value}))


@given(JSON_LIKE)
def test_redacting_twice_changes_nothing_more(value: Any) -> None:
    once = redact({"value": value})
    assert orjson.dumps(redact(once)) == orjson.dumps(once)


def test_a_secret_is_found_at_any_depth_and_a_cycle_ends() -> None:
    cycle: dict[str, Any] = {"password": "hunter2", "list": [{"email": "ada@example.org"}]}
    cycle["self"] = cycle
    cycle["deep"] = [[[[[[[[["ada@example.org"]]]]]]]]]
    text = orjson.dumps(redact(cycle)).decode()
    assert "hunter2" not in text
    assert "ada" not in text


def test_objects_become_redacted_text() -> None:
    class Visitor:
        def __str__(self) -> str:
            return "Visitor ada@example.org"

    assert redact(Visitor()) == f"Visitor {REDACTED}"
    assert redact(2**70) == str(2**70)
    assert math.isnan(redact(math.nan))
