"""What the edge refuses by itself is in the audit log, over the public gRPC API."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from arcana.service.v1 import auth_service_pb2 as auth_pb2
from arcana.service.v1 import user_service_pb2 as users_pb2
from tests.tier.controller.grpc_edge.edges import bearer, error_of, public_edge
from tier_runtime.audit import address_digest


def _code(call: Callable[[], object]) -> str:
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return error_of(raised.value).code


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_wrong_roles_forged_tokens_and_logins_too_many_are_lines_of_the_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "audit.jsonl"
    settings: dict[str, Any] = {"audit_log_file": path, "rate_limit_login_email": "1/60"}
    with public_edge(**settings, trusted_proxies=1) as edge:
        user, metadata = edge.signed_in("ada@example.org")
        traced = (("x-forwarded-for", "203.0.113.7"), ("x-request-id", "request-7"))
        delete = users_pb2.DeleteUserRequest(user_id=user.id)
        denied = lambda: edge.users.DeleteUser(delete, metadata=metadata + traced)  # noqa: E731
        assert _code(denied) == "FORBIDDEN"
        forged = lambda: edge.users.DeleteUser(delete, metadata=bearer("a.b.c"))  # noqa: E731
        assert _code(forged) == "INVALID_TOKEN"
        login = auth_pb2.LoginRequest(email="Ada@example.org ", password="Wr0ng-password")
        limited = lambda: edge.auth.Login(login, metadata=traced)  # noqa: E731
        assert _code(limited) == "INVALID_CREDENTIALS"
        for _ in range(3):
            assert _code(limited) == "RATE_LIMITED"
        assert len(_lines(path)) == 3
    # The worker has ended, and told what it had only counted.
    role, token, limit, rest = _lines(path)
    moments = [limit["target"].pop(name) for name in ("first_time", "last_time")]
    moments += [rest["target"].pop(name) for name in ("first_time", "last_time")]
    assert moments == sorted(moments)
    assert rest["time"] >= moments[-1]
    assert rest["target"] == {**limit["target"], "refused": 2}
    assert {line["tier"] for line in (role, token, limit)} == {"controller"}
    assert {line["outcome"] for line in (role, token, limit)} == {"denied"}
    assert (role["act"], role["code"]) == ("UserService/DeleteUser", "FORBIDDEN")
    assert role["actor"]["subject"] == user.id
    assert (role["request_id"], role["client_address"]) == ("request-7", "203.0.113.7")
    assert (token["code"], "actor" in token) == ("INVALID_TOKEN", False)
    assert (limit["act"], limit["code"]) == ("AuthService/Login", "RATE_LIMITED")
    assert limit["client_address"] == "203.0.113.7"
    assert limit["target"] == {
        "address_sha256": address_digest("ada@example.org"),
        "limit": "login-email",
        "refused": 1,
    }
    assert "Wr0ng-password" not in path.read_text()
