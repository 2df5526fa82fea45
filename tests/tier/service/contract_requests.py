"""Requests to the repository tier for the tests that the fake and the real one share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from arcana.common.v1 import domain_event_pb2
from arcana.repository.v1 import (
    idempotency_pb2,
    one_time_token_pb2,
    session_repository_pb2,
    user_pb2,
    user_repository_pb2,
)
from service_tier.repository import Repository
from tests.fakes.clock import FakeClock
from tier_runtime.errors import AppError
from tier_runtime.ids import Uuid7Source
from tier_runtime.timestamps import timestamp_from

RESET = one_time_token_pb2.ONE_TIME_TOKEN_PURPOSE_PASSWORD_RESET
VERIFICATION = one_time_token_pb2.ONE_TIME_TOKEN_PURPOSE_EMAIL_VERIFICATION
ACTIVE = user_pb2.USER_STATUS_ACTIVE
SUSPENDED = user_pb2.USER_STATUS_SUSPENDED
HASH = "scrypt:1024:8:1$salt$" + "ab" * 64
OTHER_HASH = "scrypt:1024:8:1$salt$" + "cd" * 64
UNKNOWN = "019aa000-0000-7000-8000-000000000001"


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def code_of(action: Callable[[], object]) -> str:
    """Return the code of the error that the action ends in."""
    with pytest.raises(AppError) as refused:
        action()
    return refused.value.code


class Kept:
    """A repository tier of any kind, and what the shared tests keep in it."""

    def __init__(self, repository: Repository, clock: FakeClock) -> None:
        self.users = repository.users
        self.sessions = repository.sessions
        self.files = repository.files
        self.events = repository.events
        self.rate_limits = repository.rate_limits
        self.clock = clock
        self._ids = Uuid7Source()

    def new_id(self) -> str:
        return self._ids.new_id()

    def after(self, seconds: float) -> Timestamp:
        return timestamp_from(self.clock.now() + timedelta(seconds=seconds))

    def event(self, event_type: str = "user.created") -> domain_event_pb2.DomainEvent:
        return domain_event_pb2.DomainEvent(
            id=self.new_id(),
            type=event_type,
            aggregate_type="user",
            aggregate_id=self.new_id(),
            occurred_time=timestamp_from(self.clock.now()),
        )

    def creation(
        self, email: str = "ada@example.org", *roles: str, name: str = "Ada", key: str = ""
    ) -> user_repository_pb2.CreateUserRequest:
        request = user_repository_pb2.CreateUserRequest(
            user_id=self.new_id(),
            email=email,
            name=name,
            password_hash=HASH,
            roles=roles or ("user",),
            status=ACTIVE,
            events=[self.event()],
        )
        if key:
            request.idempotency_key.CopyFrom(
                idempotency_pb2.IdempotencyKey(
                    scope="anonymous:Register", key=key, fingerprint=digest(email)
                )
            )
        return request

    def user(self, email: str = "ada@example.org", *roles: str, name: str = "Ada") -> user_pb2.User:
        return self.users.CreateUser(self.creation(email, *roles, name=name)).user

    def read(self, user_id: str) -> user_pb2.User:
        return self.users.GetUser(user_repository_pb2.GetUserRequest(user_id=user_id)).user

    def credentials(self, user_id: str) -> user_pb2.Credentials:
        return self.users.GetCredentials(
            user_repository_pb2.GetCredentialsRequest(user_id=user_id)
        ).credentials

    def token(
        self,
        text: str,
        purpose: one_time_token_pb2.OneTimeTokenPurpose.ValueType,
        seconds: float = 3600,
    ) -> one_time_token_pb2.NewOneTimeToken:
        return one_time_token_pb2.NewOneTimeToken(
            id=self.new_id(),
            token_sha256=digest(text),
            purpose=purpose,
            expire_time=self.after(seconds),
        )

    def keep_token(
        self,
        user_id: str,
        text: str,
        purpose: one_time_token_pb2.OneTimeTokenPurpose.ValueType,
        seconds: float = 3600,
    ) -> None:
        self.users.CreateOneTimeToken(
            user_repository_pb2.CreateOneTimeTokenRequest(
                user_id=user_id, token=self.token(text, purpose, seconds), events=[self.event()]
            )
        )

    def owner(self, text: str, purpose: one_time_token_pb2.OneTimeTokenPurpose.ValueType) -> str:
        return self.users.GetOneTimeToken(
            user_repository_pb2.GetOneTimeTokenRequest(token_sha256=digest(text), purpose=purpose)
        ).user_id

    def reset(self, text: str) -> None:
        self.users.ResetPassword(
            user_repository_pb2.ResetPasswordRequest(
                token_sha256=digest(text), password_hash=OTHER_HASH, events=[self.event()]
            )
        )

    def verify(self, text: str) -> None:
        self.users.VerifyEmail(
            user_repository_pb2.VerifyEmailRequest(token_sha256=digest(text), events=[self.event()])
        )

    def session_request(
        self, user_id: str, token: str = "r1", seconds: float = 3600
    ) -> session_repository_pb2.CreateSessionRequest:
        return session_repository_pb2.CreateSessionRequest(
            session_id=self.new_id(),
            user_id=user_id,
            expected_credential_version=1,
            refresh_token_sha256=digest(token),
            expire_time=self.after(seconds),
            client_address="203.0.113.7",
            user_agent="Test/1",
            events=[self.event("auth.login_success")],
        )

    def session(self, user_id: str, token: str = "r1", seconds: float = 3600) -> str:
        request = self.session_request(user_id, token, seconds)
        return self.sessions.CreateSession(request).session.id

    def rotate(
        self, presented: str, successor: str
    ) -> session_repository_pb2.RotateRefreshTokenResponse:
        return self.sessions.RotateRefreshToken(
            session_repository_pb2.RotateRefreshTokenRequest(
                presented_sha256=digest(presented),
                successor_sha256=digest(successor),
                expire_time=self.after(3600),
            )
        )

    def lives(self, session_id: str) -> session_repository_pb2.GetSessionResponse:
        return self.sessions.GetSession(
            session_repository_pb2.GetSessionRequest(session_id=session_id)
        )

    def end(self, user_id: str, session_id: str) -> None:
        self.sessions.EndSession(
            session_repository_pb2.EndSessionRequest(user_id=user_id, session_id=session_id)
        )

    def changes(self, seconds_ago: float = 60) -> session_repository_pb2.ListAccessChangesResponse:
        return self.sessions.ListAccessChanges(
            session_repository_pb2.ListAccessChangesRequest(since_time=self.after(-seconds_ago))
        )
