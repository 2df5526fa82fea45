"""One-time tokens: written, looked up, used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, select, update

from arcana.repository.v1 import one_time_token_pb2
from repository_tier.conversion import purpose_word
from repository_tier.database import Database
from repository_tier.field_checks import FieldChecks
from repository_tier.outbox import OutboxEvent, append_events
from repository_tier.tables import one_time_tokens
from repository_tier.upserts import insert_new
from repository_tier.user_rows import lock_user, lock_user_if_any, user_not_found
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

RESET_PURPOSE = "password_reset"
VERIFICATION_PURPOSE = "email_verification"


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token about to be mailed."""

    id: str
    token_sha256: bytes
    purpose: str
    expire_time: datetime


def new_token_from_proto(
    message: one_time_token_pb2.NewOneTimeToken, field: str, purpose: str = ""
) -> NewToken:
    """Check a new token; with a purpose named, no other one will do.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks(f"{field}.")
    token = NewToken(
        id=checks.new_id("id", message.id),
        token_sha256=checks.sha256("token_sha256", message.token_sha256),
        purpose=purpose_word(checks, "purpose", message.purpose),
        expire_time=checks.required_moment("expire_time", message.expire_time),
    )
    if purpose and token.purpose and token.purpose != purpose:
        checks.fault("purpose", "Not the purpose that is wanted here.")
    checks.done()
    return token


def write_token(
    connection: Connection, user_id: str | None, token: NewToken, now: datetime
) -> None:
    """Write a token, unless it has been written before.

    Raises:
        AppError: EXISTS/ALREADY_EXISTS, when there is another token with its id.
    """
    row = {
        "id": token.id,
        "token_sha256": token.token_sha256,
        "purpose": token.purpose,
        "user_id": user_id,
        "created_time": now,
        "expire_time": token.expire_time,
        "used_time": None,
    }
    insert_new(connection, one_time_tokens, row, key="id")
    written = find_token(connection, token.token_sha256)
    if written is None or any(written[name] != row[name] for name in ("id", "purpose", "user_id")):
        raise AppError(Kind.EXISTS, "ALREADY_EXISTS", "There is another token with this id.")


def find_token(connection: Connection, token_sha256: bytes) -> RowMapping | None:
    """Return the token with this digest, used or not."""
    wanted = select(one_time_tokens).where(one_time_tokens.c.token_sha256 == token_sha256)
    return connection.execute(wanted).mappings().first()


def use_token(
    connection: Connection, token_sha256: bytes, purpose: str, now: datetime
) -> RowMapping:
    """Use a token and every other one of its user and purpose; return its user, locked.

    Raises:
        AppError: UNAUTHENTICATED/INVALID_TOKEN, UNAUTHENTICATED/TOKEN_EXPIRED.
    """
    user_id = owner_of(find_token(connection, token_sha256), purpose, now)
    user = lock_user(connection, user_id)
    # Of two that come at once the second one gets here after the first has used the token.
    owner_of(find_token(connection, token_sha256), purpose, now)
    kill_tokens(connection, user_id, purpose, now)
    return user


def kill_tokens(connection: Connection, user_id: str, purpose: str, now: datetime) -> None:
    """Make all tokens of a user for one purpose useless."""
    connection.execute(
        update(one_time_tokens)
        .where(
            one_time_tokens.c.user_id == user_id,
            one_time_tokens.c.purpose == purpose,
            one_time_tokens.c.used_time.is_(None),
        )
        .values(used_time=now)
    )


def owner_of(token: RowMapping | None, purpose: str, now: datetime) -> str:
    """Return whose token it is, if it can be used for the purpose.

    Raises:
        AppError: UNAUTHENTICATED/INVALID_TOKEN, UNAUTHENTICATED/TOKEN_EXPIRED.
    """
    if (
        token is None
        or token["user_id"] is None
        or token["used_time"] is not None
        or token["purpose"] != purpose
    ):
        raise AppError(Kind.UNAUTHENTICATED, "INVALID_TOKEN", "The token is not valid.")
    if token["expire_time"] <= now:
        raise AppError(Kind.UNAUTHENTICATED, "TOKEN_EXPIRED", "The token has expired.")
    user_id: str = token["user_id"]
    return user_id


class OneTimeTokens:
    """Tokens by themselves; using one is part of what it allows."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(
        self, user_id: str, token: NewToken, events: Sequence[OutboxEvent], deadline: Deadline
    ) -> None:
        """Write a token with its events; without a user a decoy, without events.

        A decoy takes the same statements as a token, so that how long a request for a reset
        takes does not tell whether an account has the address. What stays unequal is inside the
        store: the row that is found and locked, the check of the foreign key, the event in what
        is committed, and a wait for whoever else is changing the same user.

        Raises:
            AppError: MISSING/USER_NOT_FOUND; EXISTS/ALREADY_EXISTS.
        """
        now = self._clock.now()

        def work(connection: Connection) -> None:
            # A verification token must not slip in behind a change of the address. No user has
            # the id of a token, so for a decoy nothing is found.
            user = lock_user_if_any(connection, user_id or token.id)
            if user_id and user is None:
                raise user_not_found()
            write_token(connection, user_id or None, token, now)
            # Nobody may ever read the event of a decoy, so it is taken back before the commit.
            # Not a context manager: after a deadlock the savepoint is gone as well, and the
            # failure to go back to it would hide that the transaction can be tried again.
            savepoint = connection.begin_nested()
            append_events(connection, events, now)
            if user_id:
                savepoint.commit()
            else:
                savepoint.rollback()

        self._database.write(deadline, work)

    def owner(self, token_sha256: bytes, purpose: str, deadline: Deadline) -> str:
        """Return whose token it is, without using it.

        Raises:
            AppError: UNAUTHENTICATED/INVALID_TOKEN, UNAUTHENTICATED/TOKEN_EXPIRED.
        """
        now = self._clock.now()
        token = self._database.read(
            deadline, lambda connection: find_token(connection, token_sha256)
        )
        return owner_of(token, purpose, now)
