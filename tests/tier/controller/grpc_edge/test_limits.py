"""How often one may call: the same counts as over HTTP, for every way in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import orjson
import pytest

from arcana.service.v1 import auth_service_pb2 as auth_pb2
from tests.tier.controller.grpc_edge.edges import Metadata, PublicEdge, error_of, public_edge
from tier_runtime.errors import AppError, Kind

PASSWORD = "Correct-Horse-7"
WRONG = "Wrong-Horse-7"


@pytest.fixture
def edge(request: pytest.FixtureRequest) -> Iterator[PublicEdge]:
    settings: dict[str, Any] = getattr(request, "param", {})
    with public_edge(**settings) as edge:
        yield edge


def _refused(edge: PublicEdge, **login: Any) -> AppError:
    metadata: Metadata = login.pop("metadata", ())
    with pytest.raises(grpc.RpcError) as raised:
        edge.auth.Login(auth_pb2.LoginRequest(**login), metadata=metadata)
    return error_of(raised.value)


@pytest.mark.parametrize("edge", [{"rate_limit_login_email": "2/60"}], indirect=True)
def test_logins_to_one_address_are_counted_however_it_is_written(edge: PublicEdge) -> None:
    edge.tier.add_user("ada@example.org")
    codes = [
        _refused(edge, email=email, password=WRONG).code
        for email in ("ada@example.org", "  ADA@example.org ", "Ada@Example.org")
    ]
    assert codes == ["INVALID_CREDENTIALS", "INVALID_CREDENTIALS", "RATE_LIMITED"]
    with pytest.raises(grpc.RpcError) as raised:
        edge.auth.Login(auth_pb2.LoginRequest(email="ada@example.org", password=PASSWORD))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    error = error_of(raised.value)
    assert (error.kind, error.code) == (Kind.THROTTLED, "RATE_LIMITED")
    assert error.retry_after is not None
    assert 0 < error.retry_after <= 60
    assert _refused(edge, email="eve@example.org", password=WRONG).code == "INVALID_CREDENTIALS"


@pytest.mark.parametrize("edge", [{"rate_limit_login_email": "2/60"}], indirect=True)
def test_http_and_grpc_have_one_count(edge: PublicEdge) -> None:
    http = edge.http.test_client()
    body = orjson.dumps({"email": "ada@example.org", "password": WRONG})

    def over_http() -> int:
        answer = http.post("/api/v1/auth/login", data=body, content_type="application/json")
        return int(answer.status_code)

    assert over_http() == 401
    assert _refused(edge, email="ada@example.org", password=WRONG).code == "INVALID_CREDENTIALS"
    assert over_http() == 429
    assert _refused(edge, email="ada@example.org", password=WRONG).code == "RATE_LIMITED"


@pytest.mark.parametrize(
    "edge", [{"rate_limit_register_ip": "1/60", "trusted_proxies": 0}], indirect=True
)
def test_an_address_that_the_client_names_is_not_believed(edge: PublicEdge) -> None:
    codes = []
    for number in range(2):
        metadata: Metadata = (("x-forwarded-for", f"203.0.113.{number}"),)
        request = auth_pb2.RegisterRequest(
            email=f"u{number}@example.org", name="U", password=PASSWORD
        )
        try:
            edge.auth.Register(request, metadata=metadata)
            codes.append("")
        except grpc.RpcError as error:
            codes.append(error_of(error).code)
    assert codes == ["", "RATE_LIMITED"]


@pytest.mark.parametrize(
    "edge", [{"rate_limit_login_ip": "1/60", "trusted_proxies": 1}], indirect=True
)
def test_behind_a_proxy_the_address_is_what_the_proxy_saw(edge: PublicEdge) -> None:
    def login(forwarded: str) -> str:
        metadata: Metadata = (("x-forwarded-for", forwarded),)
        email = f"{len(edge.tier.received)}@example.org"
        return _refused(edge, email=email, password=WRONG, metadata=metadata).code

    assert login("198.51.100.1") == "INVALID_CREDENTIALS"
    # What stands before the proxy's own entry is the client's invention.
    assert login("203.0.113.9, 198.51.100.1") == "RATE_LIMITED"
    assert login("198.51.100.1, 198.51.100.2") == "INVALID_CREDENTIALS"
    assert edge.tier.last("Login").request.client_address == "198.51.100.2"


@pytest.mark.parametrize("edge", [{"rate_limit_change_password_user": "1/60"}], indirect=True)
def test_password_changes_are_counted_by_the_user(edge: PublicEdge) -> None:
    def change(metadata: Metadata) -> str:
        with pytest.raises(grpc.RpcError) as raised:
            edge.auth.ChangePassword(
                auth_pb2.ChangePasswordRequest(current_password=WRONG, new_password=PASSWORD),
                metadata=metadata,
            )
        return error_of(raised.value).code

    _, ada = edge.signed_in("ada@example.org")
    _, eve = edge.signed_in("eve@example.org")
    assert [change(ada), change(ada), change(eve)] == [
        "INVALID_CREDENTIALS",
        "RATE_LIMITED",
        "INVALID_CREDENTIALS",
    ]


@pytest.mark.parametrize("edge", [{"rate_limit_login_email": "2/60"}], indirect=True)
def test_bytes_that_hold_no_address_are_refused_before_they_count(edge: PublicEdge) -> None:
    call: Any = edge.channel.unary_unary("/arcana.service.v1.AuthService/Login", None, None)
    for _ in range(4):
        with pytest.raises(grpc.RpcError) as raised:
            call(b"\x0a\xff")
        assert error_of(raised.value).code == "MALFORMED_BODY"
    assert "TakeRateLimit" not in edge.tier.methods()


@pytest.mark.parametrize(
    "edge", [{"rate_limit_login_email": "8/60", "rate_limit_fallback_divisor": 4}], indirect=True
)
def test_without_the_shared_counters_a_stricter_limit_of_the_worker_holds(
    edge: PublicEdge,
) -> None:
    edge.tier.failures["TakeRateLimit"] = AppError(
        Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "The counters are gone."
    )
    codes = [_refused(edge, email="ada@example.org", password=WRONG).code for _ in range(3)]
    assert codes == ["INVALID_CREDENTIALS", "INVALID_CREDENTIALS", "RATE_LIMITED"]


@pytest.mark.parametrize(
    "edge",
    [{"rate_limit_login_email": "1/60", "rate_limit_enabled": False}],
    indirect=True,
)
def test_limits_that_are_switched_off_limit_nothing(edge: PublicEdge) -> None:
    codes = {_refused(edge, email="ada@example.org", password=WRONG).code for _ in range(3)}
    assert codes == {"INVALID_CREDENTIALS"}
    assert "TakeRateLimit" not in edge.tier.methods()
