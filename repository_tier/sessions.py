"""Sessions as they are made, carried on and ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update
from sqlalchemy.exc import IntegrityError

from arcana.repository.v1 import session_repository_pb2, user_pb2
from repository_tier.cache.message_cache import MessageCache
from repository_tier.conversion import ACTIVE, session_from_row
from repository_tier.database import Database
from repository_tier.ended_sessions import end_session, end_sessions_of
from repository_tier.outbox import OutboxEvent, append_events
from repository_tier.store_errors import duplicates
from repository_tier.tables import refresh_tokens, sessions, users
from repository_tier.user_rows import find_user, lock_user, read_user
from repository_tier.versions import stale
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

SignedIn = tuple[session_repository_pb2.Session, user_pb2.User]


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session about to be made."""

    id: str
    user_id: str
    expected_credential_version: int
    refresh_token_sha256: bytes
    expire_time: datetime
    client_address: str
    user_agent: str
    rehashed_password_hash: str


@dataclass(frozen=True, slots=True)
class Rotation:
    """A refresh token about to be traded for its successor."""

    presented_sha256: bytes
    successor_sha256: bytes
    expire_time: datetime


class Sessions:
    """Writes sessions. Each method is one transaction."""

    def __init__(
        self, database: Database, cache: MessageCache[user_pb2.User], clock: Clock
    ) -> None:
        self._database = database
        self._cache = cache
        self._clock = clock

    def create(
        self, new: NewSession, events: Sequence[OutboxEvent], deadline: Deadline
    ) -> SignedIn:
        """Start a session and note the sign-in; the same session again is returned as it is.

        Raises:
            AppError: MISSING/USER_NOT_FOUND; STALE/PRECONDITION_FAILED;
                FORBIDDEN/ACCOUNT_NOT_ACTIVE; EXISTS/ALREADY_EXISTS, when the id is another
                session's.
        """
        now = self._clock.now()

        def work(connection: Connection) -> SignedIn:
            user = lock_user(connection, new.user_id)
            made = _made_before(connection, new)
            if made is not None:
                return session_from_row(made), read_user(connection, new.user_id)
            if user["credential_version"] != new.expected_credential_version:
                raise stale()
            _require_active(user["status"])
            _insert_session(connection, new, now)
            # A sign-in moves the version, but is no change of what the user is.
            values: dict[str, Any] = {"version": users.c.version + 1, "last_login_time": now}
            if new.rehashed_password_hash:
                values["password_hash"] = new.rehashed_password_hash
            connection.execute(update(users).where(users.c.id == new.user_id).values(**values))
            append_events(connection, events, now)
            session = _read_session(connection, new.id)
            return session_from_row(session), read_user(connection, new.user_id)

        session, user = self._database.write(deadline, work)
        self._cache.put(user)
        return session, user

    def rotate(self, rotation: Rotation, deadline: Deadline) -> SignedIn:
        """Trade a refresh token for its successor (RFC 9700, section 4.14.2).

        A token that comes a second time may have been stolen, by the one who came first or by
        the one who comes now: its session ends.

        Raises:
            AppError: UNAUTHENTICATED/INVALID_TOKEN, /TOKEN_EXPIRED or /TOKEN_REVOKED;
                FORBIDDEN/ACCOUNT_NOT_ACTIVE.
        """
        now = self._clock.now()

        def work(connection: Connection) -> SignedIn | AppError:
            session = _lock_session_of(connection, rotation.presented_sha256)
            token = _find_refresh_token(connection, rotation.presented_sha256)
            if session is None or token is None or session["ended_time"] is not None:
                raise _revoked()
            if token["used_time"] is not None:
                end_session(connection, session["id"], now)
                # Returned, not raised: the end of the session must be committed.
                return _used_twice(session)
            if token["expire_time"] <= now:
                raise AppError(Kind.UNAUTHENTICATED, "TOKEN_EXPIRED", "The token has expired.")
            user = find_user(connection, users.c.id == session["user_id"])
            if user is None:
                raise _revoked()
            if user.status != user_pb2.USER_STATUS_ACTIVE:
                raise _not_active()
            _carry_on(connection, session["id"], rotation, now)
            return session_from_row(_read_session(connection, session["id"])), user

        outcome = self._database.write(deadline, work)
        if isinstance(outcome, AppError):
            raise outcome
        return outcome

    def end_by_refresh_token(self, token_sha256: bytes, deadline: Deadline) -> None:
        """End the session of a refresh token, used or not; an unknown one is no error."""
        now = self._clock.now()

        def work(connection: Connection) -> None:
            token = _find_refresh_token(connection, token_sha256)
            if token is not None:
                end_session(connection, token["session_id"], now)

        self._database.write(deadline, work)

    def end(self, user_id: str, session_id: str, deadline: Deadline) -> None:
        """End one living session of a user.

        Raises:
            AppError: MISSING/NOT_FOUND.
        """
        now = self._clock.now()

        def work(connection: Connection) -> None:
            ended = connection.execute(
                update(sessions)
                .where(
                    sessions.c.id == session_id,
                    sessions.c.user_id == user_id,
                    sessions.c.ended_time.is_(None),
                    sessions.c.expire_time > now,
                )
                .values(ended_time=now)
            )
            if not ended.rowcount:
                raise AppError(Kind.MISSING, "NOT_FOUND", "There is no such session.")

        self._database.write(deadline, work)

    def end_all(self, user_id: str, deadline: Deadline) -> None:
        """End every session of a user."""
        now = self._clock.now()
        self._database.write(deadline, lambda connection: end_sessions_of(connection, user_id, now))


def _made_before(connection: Connection, new: NewSession) -> RowMapping | None:
    session = connection.execute(select(sessions).where(sessions.c.id == new.id)).mappings().first()
    if session is None:
        return None
    token = _find_refresh_token(connection, new.refresh_token_sha256)
    if session["user_id"] != new.user_id or token is None or token["session_id"] != new.id:
        raise _exists()
    return session


def _insert_session(connection: Connection, new: NewSession, now: datetime) -> None:
    row = insert(sessions).values(
        id=new.id,
        user_id=new.user_id,
        created_time=now,
        refreshed_time=now,
        expire_time=new.expire_time,
        client_address=new.client_address,
        user_agent=new.user_agent,
    )
    try:
        connection.execute(row)
    except IntegrityError as error:
        # Somebody else's session came between the look and the insertion.
        if duplicates(error, sessions, "id"):
            raise _exists() from error
        raise
    _insert_refresh_token(connection, new.id, new.refresh_token_sha256, new.expire_time, now)


def _insert_refresh_token(
    connection: Connection, session_id: str, digest: bytes, expire_time: datetime, now: datetime
) -> None:
    row = insert(refresh_tokens).values(
        token_sha256=digest, session_id=session_id, created_time=now, expire_time=expire_time
    )
    try:
        connection.execute(row)
    except IntegrityError as error:
        if duplicates(error, refresh_tokens, "token_sha256"):
            raise _exists() from error
        raise


def _find_refresh_token(connection: Connection, digest: bytes) -> RowMapping | None:
    wanted = select(refresh_tokens).where(refresh_tokens.c.token_sha256 == digest)
    return connection.execute(wanted).mappings().first()


def _read_session(connection: Connection, session_id: str) -> RowMapping:
    wanted = select(sessions).where(sessions.c.id == session_id)
    return connection.execute(wanted).mappings().one()


def _lock_session_of(connection: Connection, token_sha256: bytes) -> RowMapping | None:
    """Lock the session of a refresh token. What is read of the token holds only after it."""
    token = _find_refresh_token(connection, token_sha256)
    if token is None:
        raise AppError(Kind.UNAUTHENTICATED, "INVALID_TOKEN", "The token is not valid.")
    wanted = select(sessions).where(sessions.c.id == token["session_id"]).with_for_update()
    return connection.execute(wanted).mappings().first()


def _carry_on(connection: Connection, session_id: str, rotation: Rotation, now: datetime) -> None:
    connection.execute(
        update(refresh_tokens)
        .where(refresh_tokens.c.token_sha256 == rotation.presented_sha256)
        .values(used_time=now)
    )
    _insert_refresh_token(
        connection, session_id, rotation.successor_sha256, rotation.expire_time, now
    )
    connection.execute(
        update(sessions)
        .where(sessions.c.id == session_id)
        .values(refreshed_time=now, expire_time=rotation.expire_time)
    )


def _require_active(status: str) -> None:
    if status != ACTIVE:
        raise _not_active()


def _not_active() -> AppError:
    return AppError(Kind.FORBIDDEN, "ACCOUNT_NOT_ACTIVE", "The account is not active.")


def _revoked() -> AppError:
    return AppError(Kind.UNAUTHENTICATED, "TOKEN_REVOKED", "The session has ended.")


def _used_twice(session: RowMapping) -> AppError:
    return AppError(
        Kind.UNAUTHENTICATED,
        "TOKEN_REVOKED",
        "The session has ended.",
        user_id=session["user_id"],
        session_id=session["id"],
    )


def _exists() -> AppError:
    return AppError(Kind.EXISTS, "ALREADY_EXISTS", "There is another session with this identity.")
