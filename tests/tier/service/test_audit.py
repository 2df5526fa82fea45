"""The audit log of a service tier over real gRPC, on the real repository tier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from arcana.service.v1 import auth_service_pb2, user_service_pb2
from tests.tier.service.contract_requests import code_of
from tests.tier.service.running import PASSWORD, SYSTEM, service_on
from tier_runtime.audit import address_digest
from tier_runtime.call import Actor


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_life_of_an_account_is_told_in_order_and_without_its_secrets(
    repository_url: str, tmp_path: Path, path: Path
) -> None:
    secrets = {PASSWORD, "ada@example.org", "nobody@example.org"}
    with service_on(repository_url, tmp_path, audit_log_file=path) as service:
        user = service.register("ada@example.org")
        first = service.login("ada@example.org")
        refresh = auth_service_pb2.RefreshSessionRequest(refresh_token=first.refresh_token)
        second = service.auth.RefreshSession(refresh).tokens
        secrets |= {first.access_token, first.refresh_token}
        secrets |= {second.access_token, second.refresh_token}
        assert code_of(lambda: service.auth.RefreshSession(refresh)) == "TOKEN_REVOKED"
        assert code_of(lambda: service.login("nobody@example.org")) == "INVALID_CREDENTIALS"
        with service.acting(Actor(user.id, frozenset({"user"}))):
            listing = user_service_pb2.ListUsersRequest()
            assert code_of(lambda: service.users.ListUsers(listing)) == "FORBIDDEN"
        with service.acting(SYSTEM):
            service.users.DeleteUser(user_service_pb2.DeleteUserRequest(user_id=user.id))
    lines = _lines(path)
    assert [(line["act"], line["outcome"]) for line in lines] == [
        ("AuthService/Register", "done"),
        ("AuthService/Login", "done"),
        ("AuthService/RefreshSession", "denied"),
        ("AuthService/Login", "denied"),
        ("UserService/ListUsers", "denied"),
        ("UserService/DeleteUser", "done"),
    ]
    assert {line["tier"] for line in lines} == {"service"}
    made, login, reuse, unknown, denied, deleted = lines
    session_id = login["target"]["session_id"]
    assert made["target"] == {"user_id": user.id}
    # The session that the second use of a token has ended: the repository tier told it.
    assert (reuse["code"], reuse["reason"]) == ("TOKEN_REVOKED", "used_twice")
    assert reuse["target"] == {"user_id": user.id, "session_id": session_id}
    assert unknown["target"] == {"address_sha256": address_digest("nobody@example.org")}
    assert denied["actor"] == {"subject": user.id, "roles": ["user"]}
    assert deleted["actor"] == {"subject": "system", "roles": ["admin"]}
    assert [secret for secret in secrets if secret in path.read_text()] == []
