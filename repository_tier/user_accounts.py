"""Users as they are made, changed and deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from arcana.repository.v1 import user_pb2
from arcana.repository.v1.user_repository_pb2 import CreateUserResponse
from repository_tier.admins import ADMIN, lock_admins, require_other_admin
from repository_tier.cache.message_cache import MessageCache
from repository_tier.conversion import ACTIVE
from repository_tier.database import Database
from repository_tier.ended_sessions import end_sessions_of
from repository_tier.idempotency import OnceKey, once
from repository_tier.one_time_tokens import (
    RESET_PURPOSE,
    VERIFICATION_PURPOSE,
    NewToken,
    kill_tokens,
    write_token,
)
from repository_tier.outbox import OutboxEvent, append_events
from repository_tier.store_errors import duplicates
from repository_tier.tables import roles, user_roles, users
from repository_tier.text_keys import email_key, name_key
from repository_tier.user_rows import change_user, lock_user, read_user
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.validation import invalid


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user about to be made."""

    id: str
    email: str
    name: str
    password_hash: str
    roles: frozenset[str]
    status: str
    verification_token: NewToken | None


@dataclass(frozen=True, slots=True)
class Target:
    """Which user is to change, and from which version; 0 is any."""

    user_id: str
    expected_version: int


@dataclass(frozen=True, slots=True)
class UserChange:
    """New values for a user; None leaves the old one."""

    name: str | None
    email: str | None
    verification_token: NewToken | None


class UserAccounts:
    """Writes users. Each method is one transaction, with its events in it."""

    def __init__(
        self, database: Database, cache: MessageCache[user_pb2.User], clock: Clock
    ) -> None:
        self._database = database
        self._cache = cache
        self._clock = clock

    def create(
        self,
        user: NewUser,
        key: OnceKey | None,
        events: Sequence[OutboxEvent],
        deadline: Deadline,
    ) -> CreateUserResponse:
        """Make a user, once for each key.

        Raises:
            AppError: EXISTS/EMAIL_EXISTS; EXISTS/ALREADY_EXISTS, when the id is taken;
                INVALID/VALIDATION_FAILED, for an unknown role; and what `once` raises.
        """
        now = self._clock.now()

        def work(connection: Connection) -> CreateUserResponse:
            def make() -> CreateUserResponse:
                _insert_user(connection, user, now)
                append_events(connection, events, now)
                return CreateUserResponse(user=read_user(connection, user.id))

            return once(connection, key, now, make, CreateUserResponse)

        response = self._database.write(deadline, work)
        if not response.replayed:
            self._cache.put(response.user)
        return response

    def update(
        self,
        target: Target,
        change: UserChange,
        events: Sequence[OutboxEvent],
        deadline: Deadline,
    ) -> user_pb2.User:
        """Change name and e-mail address; a new address is unverified and kills all tokens.

        Raises:
            AppError: MISSING/USER_NOT_FOUND; STALE/PRECONDITION_FAILED; EXISTS/EMAIL_EXISTS.
        """
        now = self._clock.now()
        user_id = target.user_id

        def work(connection: Connection) -> None:
            old = lock_user(connection, user_id, target.expected_version)
            values: dict[str, Any] = {}
            if change.name is not None:
                values |= {"name": change.name, "name_key": name_key(change.name)}
            if change.email is not None:
                key = email_key(change.email)
                values |= {"email": change.email, "email_key": key}
                if key != old["email_key"]:
                    values["email_verified"] = False
                    # What was mailed to the old address must not open the account any more.
                    kill_tokens(connection, user_id, VERIFICATION_PURPOSE, now)
                    kill_tokens(connection, user_id, RESET_PURPOSE, now)
            with _unique_email():
                change_user(connection, user_id, now, values)
            if change.verification_token is not None:
                write_token(connection, user_id, change.verification_token, now)

        return self._change(user_id, work, events, now, deadline)

    def update_status(
        self,
        target: Target,
        status: str,
        events: Sequence[OutboxEvent],
        deadline: Deadline,
    ) -> user_pb2.User:
        """Set the status; a user who is not active has no session.

        Raises:
            AppError: MISSING/USER_NOT_FOUND; STALE/PRECONDITION_FAILED; CONFLICT/INVALID_STATE.
        """
        now = self._clock.now()
        user_id = target.user_id

        def work(connection: Connection) -> None:
            lock_admins(connection)
            lock_user(connection, user_id, target.expected_version)
            if status != ACTIVE:
                require_other_admin(connection, user_id)
                end_sessions_of(connection, user_id, now)
            change_user(connection, user_id, now, {"status": status})

        return self._change(user_id, work, events, now, deadline)

    def replace_roles(
        self,
        target: Target,
        names: frozenset[str],
        events: Sequence[OutboxEvent],
        deadline: Deadline,
    ) -> user_pb2.User:
        """Replace the roles.

        Raises:
            AppError: MISSING/USER_NOT_FOUND; STALE/PRECONDITION_FAILED; CONFLICT/INVALID_STATE;
                INVALID/VALIDATION_FAILED, for an unknown role.
        """
        now = self._clock.now()
        user_id = target.user_id

        def work(connection: Connection) -> None:
            lock_admins(connection)
            lock_user(connection, user_id, target.expected_version)
            if ADMIN not in names:
                require_other_admin(connection, user_id)
            connection.execute(delete(user_roles).where(user_roles.c.user_id == user_id))
            _insert_roles(connection, user_id, names)
            change_user(connection, user_id, now, {"roles_changed_time": now})

        return self._change(user_id, work, events, now, deadline)

    def delete(
        self,
        target: Target,
        events: Sequence[OutboxEvent],
        deadline: Deadline,
    ) -> None:
        """Delete a user with all that hangs on it, and end its sessions.

        Raises:
            AppError: MISSING/USER_NOT_FOUND; STALE/PRECONDITION_FAILED; CONFLICT/INVALID_STATE.
        """
        now = self._clock.now()
        user_id = target.user_id

        def work(connection: Connection) -> int:
            lock_admins(connection)
            version: int = lock_user(connection, user_id, target.expected_version)["version"]
            require_other_admin(connection, user_id)
            end_sessions_of(connection, user_id, now)
            # Roles, profile and one-time tokens go with it, by their foreign keys.
            connection.execute(delete(users).where(users.c.id == user_id))
            append_events(connection, events, now)
            return version

        last_version = self._database.write(deadline, work)
        self._cache.put_deleted(user_id, last_version + 1)

    def _change(
        self,
        user_id: str,
        work: Callable[[Connection], None],
        events: Sequence[OutboxEvent],
        now: datetime,
        deadline: Deadline,
    ) -> user_pb2.User:
        def whole(connection: Connection) -> user_pb2.User:
            work(connection)
            append_events(connection, events, now)
            return read_user(connection, user_id)

        user = self._database.write(deadline, whole)
        self._cache.put(user)
        return user


@contextmanager
def _unique_email() -> Iterator[None]:
    """Tell a duplicate address in the words of the contract."""
    try:
        yield
    except IntegrityError as error:
        if duplicates(error, users, "email_key"):
            raise AppError(Kind.EXISTS, "EMAIL_EXISTS", "Email already registered") from error
        raise


def _insert_user(connection: Connection, user: NewUser, now: datetime) -> None:
    row = insert(users).values(
        id=user.id,
        email=user.email,
        email_key=email_key(user.email),
        name=user.name,
        name_key=name_key(user.name),
        status=user.status,
        email_verified=False,
        password_hash=user.password_hash,
        credential_version=1,
        version=1,
        created_time=now,
        updated_time=now,
    )
    try:
        with _unique_email():
            connection.execute(row)
    except IntegrityError as error:
        if duplicates(error, users, "id"):
            raise AppError(
                Kind.EXISTS, "ALREADY_EXISTS", "There is a user with this id already."
            ) from error
        raise
    _insert_roles(connection, user.id, user.roles)
    if user.verification_token is not None:
        write_token(connection, user.id, user.verification_token, now)


def _insert_roles(connection: Connection, user_id: str, names: frozenset[str]) -> None:
    known = set(connection.scalars(select(roles.c.name).where(roles.c.name.in_(names))))
    unknown = sorted(names - known)
    if unknown:
        raise invalid({"roles": [f"There is no role {name}." for name in unknown]})
    connection.execute(
        insert(user_roles), [{"user_id": user_id, "role": name} for name in sorted(names)]
    )
