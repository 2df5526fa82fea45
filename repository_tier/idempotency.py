"""Creations that happen once, however often they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from sqlalchemy import Connection, RowMapping, select, update
from sqlalchemy.exc import OperationalError

from arcana.repository.v1 import idempotency_pb2
from repository_tier.field_checks import FieldChecks
from repository_tier.store_errors import is_lock_timeout
from repository_tier.tables import idempotency_keys
from repository_tier.upserts import insert_new
from tier_runtime.errors import AppError, Kind

KEPT = timedelta(hours=24)
RETRY_AFTER_SECONDS = 1.0


class Replayable(Protocol):
    """The answer of a creation, which says whether it is that of an earlier call."""

    replayed: bool

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes:  # noqa: N802 - protobuf's name
        """Return it as it is kept."""
        ...

    def ParseFromString(self, serialized: bytes) -> int:  # noqa: N802 - protobuf's name
        """Become what was kept."""
        ...


AnswerT = TypeVar("AnswerT", bound=Replayable)


@dataclass(frozen=True, slots=True)
class OnceKey:
    """What makes two requests the same one, and the fingerprint that proves it."""

    key_sha256: bytes
    scope: str
    fingerprint: bytes


def once_key_from_proto(key: idempotency_pb2.IdempotencyKey) -> OnceKey:
    """Check a key and return it as it is stored.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks("idempotency_key.")
    scope = checks.text("scope", key.scope, 255, shortest=1)
    word = checks.word("key", key.key, 255)
    fingerprint = checks.sha256("fingerprint", key.fingerprint)
    checks.done()
    # No scope and no key can hold a NUL, so no two pairs make the same digest.
    digest = hashlib.sha256(f"{scope}\0{word}".encode()).digest()
    return OnceKey(digest, scope, fingerprint)


def once(
    connection: Connection,
    key: OnceKey | None,
    now: datetime,
    make: Callable[[], AnswerT],
    answer_type: type[AnswerT],
) -> AnswerT:
    """Run `make` and keep its answer for 24 h, or return the answer that is kept, as replayed.

    Without a key it is made each time.
    The key is taken first, so a second call waits for the first one's transaction; it goes with
    that transaction if the creation fails.

    Raises:
        AppError: CONFLICT/IDEMPOTENCY_IN_PROGRESS, when the first one takes too long;
            INVALID/IDEMPOTENCY_KEY_REUSED; and what `make` raises.
    """
    if key is None:
        return make()
    earlier = _answer_of(_take(connection, key, now), key, now, answer_type)
    if earlier is not None:
        return earlier
    answer = make()
    response = answer.SerializeToString(deterministic=True)
    connection.execute(
        update(idempotency_keys)
        .where(idempotency_keys.c.key_sha256 == key.key_sha256)
        .values(fingerprint=key.fingerprint, response=response, expire_time=now + KEPT)
    )
    return answer


def earlier_answer(
    connection: Connection, key: OnceKey | None, now: datetime, answer_type: type[AnswerT]
) -> AnswerT | None:
    """Return the answer that is kept, as replayed, or None; waits for nobody.

    For what a creation does before the transaction in which it runs `once`.

    Raises:
        AppError: INVALID/IDEMPOTENCY_KEY_REUSED.
    """
    if key is None:
        return None
    wanted = select(idempotency_keys).where(idempotency_keys.c.key_sha256 == key.key_sha256)
    kept = connection.execute(wanted).mappings().first()
    return None if kept is None else _answer_of(kept, key, now, answer_type)


def _answer_of(
    kept: RowMapping, key: OnceKey, now: datetime, answer_type: type[AnswerT]
) -> AnswerT | None:
    # Only the transaction that makes it can see a row without an answer.
    if kept["response"] is None or kept["expire_time"] <= now:
        return None
    if kept["fingerprint"] != key.fingerprint:
        raise AppError(
            Kind.INVALID,
            "IDEMPOTENCY_KEY_REUSED",
            "This idempotency key was used with a different request.",
        )
    answer = answer_type()
    answer.ParseFromString(kept["response"])
    answer.replayed = True
    return answer


def _take(connection: Connection, key: OnceKey, now: datetime) -> RowMapping:
    row = {
        "key_sha256": key.key_sha256,
        "scope": key.scope,
        "fingerprint": key.fingerprint,
        "response": None,
        "expire_time": now + KEPT,
    }
    try:
        insert_new(connection, idempotency_keys, row, key="key_sha256")
    except OperationalError as error:
        if is_lock_timeout(error):
            raise _in_progress() from error
        raise
    taken = select(idempotency_keys).where(idempotency_keys.c.key_sha256 == key.key_sha256)
    return connection.execute(taken).mappings().one()


def _in_progress() -> AppError:
    return AppError(
        Kind.CONFLICT,
        "IDEMPOTENCY_IN_PROGRESS",
        "A request with this idempotency key is still running.",
        retry_after=RETRY_AFTER_SECONDS,
    )
