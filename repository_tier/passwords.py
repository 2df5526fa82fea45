"""Passwords as they are replaced, and addresses as they are verified."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from arcana.repository.v1 import user_pb2
from repository_tier.cache.message_cache import MessageCache
from repository_tier.database import Database
from repository_tier.ended_sessions import end_sessions_of
from repository_tier.one_time_tokens import (
    RESET_PURPOSE,
    VERIFICATION_PURPOSE,
    kill_tokens,
    use_token,
)
from repository_tier.outbox import OutboxEvent, append_events
from repository_tier.tables import users
from repository_tier.user_rows import change_user, lock_user, read_user
from repository_tier.versions import stale
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """A new password hash for a user who knows the old password."""

    user_id: str
    expected_credential_version: int
    password_hash: str
    # Empty: no session stays.
    kept_session_id: str


class Passwords:
    """Writes credentials and uses one-time tokens. Each method is one transaction."""

    def __init__(
        self, database: Database, cache: MessageCache[user_pb2.User], clock: Clock
    ) -> None:
        self._database = database
        self._cache = cache
        self._clock = clock

    def replace(
        self, change: PasswordChange, events: Sequence[OutboxEvent], deadline: Deadline
    ) -> None:
        """Replace the password hash, end all sessions but one and kill the reset tokens.

        Raises:
            AppError: MISSING/USER_NOT_FOUND; STALE/PRECONDITION_FAILED, when the credentials
                are not those the caller has checked.
        """
        now = self._clock.now()

        def work(connection: Connection) -> str:
            user = lock_user(connection, change.user_id)
            if user["credential_version"] != change.expected_credential_version:
                raise stale()
            _set_password(connection, change.user_id, change.password_hash, now)
            # Whoever has had a reset mail sent before must not undo the change with it.
            kill_tokens(connection, change.user_id, RESET_PURPOSE, now)
            end_sessions_of(connection, change.user_id, now, change.kept_session_id)
            return change.user_id

        self._change(work, events, now, deadline)

    def reset(
        self,
        token_sha256: bytes,
        password_hash: str,
        events: Sequence[OutboxEvent],
        deadline: Deadline,
    ) -> None:
        """Use a reset token: replace the password hash and end all sessions.

        Raises:
            AppError: UNAUTHENTICATED/INVALID_TOKEN, UNAUTHENTICATED/TOKEN_EXPIRED.
        """
        now = self._clock.now()

        def work(connection: Connection) -> str:
            user_id: str = use_token(connection, token_sha256, RESET_PURPOSE, now)["id"]
            _set_password(connection, user_id, password_hash, now)
            end_sessions_of(connection, user_id, now)
            return user_id

        self._change(work, events, now, deadline)

    def verify_email(
        self, token_sha256: bytes, events: Sequence[OutboxEvent], deadline: Deadline
    ) -> None:
        """Use a verification token: mark the address as verified.

        A change of the address has killed the tokens made for the old one.

        Raises:
            AppError: UNAUTHENTICATED/INVALID_TOKEN, UNAUTHENTICATED/TOKEN_EXPIRED.
        """
        now = self._clock.now()

        def work(connection: Connection) -> str:
            user_id: str = use_token(connection, token_sha256, VERIFICATION_PURPOSE, now)["id"]
            change_user(connection, user_id, now, {"email_verified": True})
            return user_id

        self._change(work, events, now, deadline)

    def _change(
        self,
        work: Callable[[Connection], str],
        events: Sequence[OutboxEvent],
        now: datetime,
        deadline: Deadline,
    ) -> None:
        def whole(connection: Connection) -> user_pb2.User:
            user_id = work(connection)
            append_events(connection, events, now)
            return read_user(connection, user_id)

        self._cache.put(self._database.write(deadline, whole))


def _set_password(connection: Connection, user_id: str, digest: str, now: datetime) -> None:
    values = {"password_hash": digest, "credential_version": users.c.credential_version + 1}
    change_user(connection, user_id, now, values)
