"""What the tier refuses to store, whoever sends it."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.repository.v1 import event_repository_pb2, session_repository_pb2
from arcana.repository.v1 import user_repository_pb2 as messages
from tests.tier.repository.requests import HASH, Requests
from tests.tier.repository.running_tier import RunningTier, bad_fields

LONG_TIME = Timestamp(seconds=10**15)


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"user_id": ""}, "user_id"),
        ({"user_id": "x"}, "user_id"),
        ({"user_id": "00000000-0000-4000-8000-000000000000"}, "user_id"),
        ({"email": "no-at-sign"}, "email"),
        ({"email": "@example.org"}, "email"),
        ({"email": "a b@example.org"}, "email"),
        ({"email": "a\x00b@example.org"}, "email"),
        ({"email": "a" * 243 + "@example.org"}, "email"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"password_hash": "x" * 256}, "password_hash"),
        ({"password_hash": "schlüssel"}, "password_hash"),
        ({"roles": []}, "roles"),
        ({"roles": [""]}, "roles"),
        ({"status": 0}, "status"),
        ({"status": 4}, "status"),
    ],
)
def test_a_user_that_cannot_be_stored_is_refused(
    tier: RunningTier, make: Requests, fields: dict[str, Any], bad: str
) -> None:
    assert bad_fields(tier.users.CreateUser, make.user(**fields)) == {bad}


def test_all_bad_fields_are_named_at_once(tier: RunningTier, make: Requests) -> None:
    request = make.user(user_id="x", email="x", name="x" * 300)
    assert bad_fields(tier.users.CreateUser, request) == {"user_id", "email", "name"}


def test_texts_as_long_as_they_may_be_are_kept(tier: RunningTier, make: Requests) -> None:
    # Case folding makes each of these three letters.
    name, email = "\ufb03" * 255, "\ufb03" * 242 + "@example.org"
    user = tier.users.CreateUser(make.user(name=name, email=email)).user
    assert (user.name, user.email) == (name, email)
    answer = tier.users.ListUsers(messages.ListUsersRequest(sort=messages.USER_SORT_FIELD_NAME))
    assert list(answer.users) == [user]


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"scope": ""}, "scope"),
        ({"scope": "x" * 256}, "scope"),
        ({"key": ""}, "key"),
        ({"key": "x" * 256}, "key"),
        ({"key": "ä"}, "key"),
        ({"fingerprint": b"x" * 31}, "fingerprint"),
    ],
)
def test_an_idempotency_key_that_is_none_is_refused(
    tier: RunningTier, make: Requests, fields: dict[str, Any], bad: str
) -> None:
    request = make.user(idempotency_key=make.key(**fields))
    assert bad_fields(tier.users.CreateUser, request) == {f"idempotency_key.{bad}"}


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"id": "x"}, "id"),
        ({"token_sha256": b"x"}, "token_sha256"),
        ({"purpose": 0}, "purpose"),
        ({"purpose": 5}, "purpose"),
        ({"expire_time": None}, "expire_time"),
        ({"expire_time": LONG_TIME}, "expire_time"),
    ],
)
def test_a_one_time_token_that_is_none_is_refused(
    tier: RunningTier, make: Requests, fields: dict[str, Any], bad: str
) -> None:
    request = messages.CreateOneTimeTokenRequest(token=make.reset("t", **fields))
    assert f"token.{bad}" in bad_fields(tier.users.CreateOneTimeToken, request)


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"id": ""}, "id"),
        ({"type": "é"}, "type"),
        ({"type": ""}, "type"),
        ({"aggregate_type": "x" * 65}, "aggregate_type"),
        ({"aggregate_id": ""}, "aggregate_id"),
        ({"occurred_time": None}, "occurred_time"),
        ({"actor_subject": "x" * 65}, "actor_subject"),
        ({"request_id": "x" * 129}, "request_id"),
        ({"payload": {"x": "x" * 20_000}}, "payload"),
    ],
)
def test_an_event_that_cannot_be_stored_is_refused(
    tier: RunningTier, make: Requests, fields: dict[str, Any], bad: str
) -> None:
    request = event_repository_pb2.AppendEventsRequest(events=[make.event(), make.event(**fields)])
    assert bad_fields(tier.events.AppendEvents, request) == {f"events[1].{bad}"}


def test_events_are_one_to_a_hundred(tier: RunningTier, make: Requests) -> None:
    none = event_repository_pb2.AppendEventsRequest()
    assert bad_fields(tier.events.AppendEvents, none) == {"events"}
    many = event_repository_pb2.AppendEventsRequest(events=[DomainEvent()] * 101)
    assert bad_fields(tier.events.AppendEvents, many) == {"events"}


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"session_id": "x"}, "session_id"),
        ({"user_id": "x"}, "user_id"),
        ({"expected_credential_version": 0}, "expected_credential_version"),
        ({"refresh_token_sha256": b"x"}, "refresh_token_sha256"),
        ({"expire_time": None}, "expire_time"),
        ({"expire_time": LONG_TIME}, "expire_time"),
        ({"client_address": "x" * 46}, "client_address"),
        ({"user_agent": "x" * 256}, "user_agent"),
        ({"rehashed_password_hash": "ä"}, "rehashed_password_hash"),
    ],
)
def test_a_session_that_cannot_be_stored_is_refused(
    tier: RunningTier, make: Requests, fields: dict[str, Any], bad: str
) -> None:
    request = make.session(**{"user_id": make.new_id()} | fields)
    assert bad_fields(tier.sessions.CreateSession, request) == {bad}


def test_ids_are_needed_and_must_be_ids(tier: RunningTier, make: Requests) -> None:
    users, sessions = tier.users, tier.sessions
    calls: list[tuple[Any, Any, set[str]]] = [
        (users.GetUser, messages.GetUserRequest, {"user_id"}),
        (users.UpdateUser, messages.UpdateUserRequest, {"user_id"}),
        (users.DeleteUser, messages.DeleteUserRequest, {"user_id"}),
        (users.GetUserProfile, messages.GetUserProfileRequest, {"user_id"}),
        (users.ReplaceUserProfile, messages.ReplaceUserProfileRequest, {"user_id"}),
        (
            sessions.EndUserSessions,
            session_repository_pb2.EndUserSessionsRequest,
            {"user_id"},
        ),
        (sessions.ListSessions, session_repository_pb2.ListSessionsRequest, {"user_id"}),
    ]
    for call, request_type, bad in calls:
        assert bad_fields(call, request_type()) == bad
        assert bad_fields(call, request_type(user_id="not-a-uuid")) == bad
    get = session_repository_pb2.GetSessionRequest
    assert bad_fields(sessions.GetSession, get()) == {"session_id"}
    assert bad_fields(sessions.GetSession, get(session_id="x" * 36)) == {"session_id"}
    assert bad_fields(users.GetCredentials, messages.GetCredentialsRequest()) == {"email"}


def test_an_id_is_known_in_capital_letters_too(tier: RunningTier, make: Requests) -> None:
    user = tier.users.CreateUser(make.user()).user
    assert tier.users.GetUser(messages.GetUserRequest(user_id=user.id.upper())).user == user


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"avatar_url": "x" * 501}, "avatar_url"),
        ({"bio": "x" * 1001}, "bio"),
        ({"phone": "0123"}, "phone"),
        ({"phone": "+1234567890123456"}, "phone"),
        ({"expected_version": -1}, "expected_version"),
    ],
)
def test_a_profile_that_cannot_be_stored_is_refused(
    tier: RunningTier, make: Requests, fields: dict[str, Any], bad: str
) -> None:
    request = messages.ReplaceUserProfileRequest(user_id=make.new_id(), **fields)
    assert bad_fields(tier.users.ReplaceUserProfile, request) == {bad}


def test_other_writes_are_checked_too(tier: RunningTier, make: Requests) -> None:
    user_id = make.new_id()
    update = messages.UpdateUserRequest(user_id=user_id, name="", email="x")
    assert bad_fields(tier.users.UpdateUser, update) == {"name", "email"}
    version = messages.UpdateUserRequest(user_id=user_id, expected_version=-1)
    assert bad_fields(tier.users.UpdateUser, version) == {"expected_version"}
    status = messages.UpdateUserStatusRequest(user_id=user_id)
    assert bad_fields(tier.users.UpdateUserStatus, status) == {"status"}
    roles = messages.ReplaceUserRolesRequest(user_id=user_id)
    assert bad_fields(tier.users.ReplaceUserRoles, roles) == {"roles"}
    password = messages.ReplacePasswordRequest(
        user_id="x",
        expected_credential_version=1,
        password_hash="x" * 256,
        kept_session_id="x",
    )
    assert bad_fields(tier.users.ReplacePassword, password) == {
        "user_id",
        "password_hash",
        "kept_session_id",
    }
    reset = messages.ResetPasswordRequest(token_sha256=b"x", password_hash=HASH)
    assert bad_fields(tier.users.ResetPassword, reset) == {"token_sha256"}
    verify = messages.VerifyEmailRequest(token_sha256=b"x")
    assert bad_fields(tier.users.VerifyEmail, verify) == {"token_sha256"}
    lookup = messages.GetOneTimeTokenRequest(token_sha256=b"x", purpose=7)  # type: ignore[arg-type]  # a wrong one
    assert bad_fields(tier.users.GetOneTimeToken, lookup) == {"token_sha256", "purpose"}
    rotation = session_repository_pb2.RotateRefreshTokenRequest(
        presented_sha256=b"x", successor_sha256=b"y", expire_time=make.after(hours=1)
    )
    assert bad_fields(tier.sessions.RotateRefreshToken, rotation) == {
        "presented_sha256",
        "successor_sha256",
    }
