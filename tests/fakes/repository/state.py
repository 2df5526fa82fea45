"""What the fake keeps, and the questions that several of its parts ask."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar, cast

from google.protobuf.timestamp_pb2 import Timestamp

from arcana.common.v1 import domain_event_pb2
from arcana.repository.v1 import (
    file_pb2,
    idempotency_pb2,
    one_time_token_pb2,
    order_pb2,
    product_pb2,
    session_repository_pb2,
    user_pb2,
)
from tier_runtime.clock import Clock
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import IdSource, Uuid7Source
from tier_runtime.timestamps import datetime_from, timestamp_from
from tier_runtime.validation import invalid

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Account:
    user: user_pb2.User
    password_hash: str
    profile: user_pb2.UserProfile
    credential_version: int = 1

    def touch(self, now: Timestamp) -> None:
        self.user.version += 1
        self.user.updated_time.CopyFrom(now)


@dataclass
class KeptToken:
    token: one_time_token_pb2.NewOneTimeToken
    user_id: str
    used: bool = False


@dataclass
class KeptSession:
    session: session_repository_pb2.Session
    living_sha256: bytes
    ended: datetime | None = None


class Keyed(Protocol):
    """A request that may carry an idempotency key."""

    @property
    def idempotency_key(self) -> idempotency_pb2.IdempotencyKey: ...

    def HasField(self, field_name: Literal["idempotency_key"], /) -> bool: ...


class Replayable(Protocol):
    """An answer that says whether it is an earlier one."""

    replayed: bool

    def SerializeToString(self) -> bytes: ...

    @classmethod
    def FromString(cls, s: bytes, /) -> Any: ...


AnswerT = TypeVar("AnswerT", bound=Replayable)


@dataclass
class KeptAnswer:
    fingerprint: bytes
    answer: bytes
    answer_type: type[Replayable]


@dataclass
class State:
    """Everything, behind one lock: each RPC is one transaction."""

    clock: Clock
    lock: threading.RLock = field(default_factory=threading.RLock)
    accounts: dict[str, Account] = field(default_factory=dict)
    tokens: dict[bytes, KeptToken] = field(default_factory=dict)
    sessions: dict[str, KeptSession] = field(default_factory=dict)
    session_of_token: dict[bytes, str] = field(default_factory=dict)
    events: list[domain_event_pb2.DomainEvent] = field(default_factory=list)
    answers: dict[tuple[str, str], KeptAnswer] = field(default_factory=dict)
    role_changes: dict[str, datetime] = field(default_factory=dict)
    products: dict[str, product_pb2.Product] = field(default_factory=dict)
    movements: dict[str, list[product_pb2.StockMovement]] = field(default_factory=dict)
    orders: dict[str, order_pb2.Order] = field(default_factory=dict)
    files: dict[str, tuple[file_pb2.File, bytes]] = field(default_factory=dict)
    ids: IdSource = field(default_factory=Uuid7Source)

    def now(self) -> Timestamp:
        return timestamp_from(self.clock.now())

    def once(self, request: Keyed, make: Callable[[], AnswerT]) -> AnswerT:
        """Return what `make` does, or what it did for an earlier request with the same key."""
        if not request.HasField("idempotency_key"):
            return make()
        key = (request.idempotency_key.scope, request.idempotency_key.key)
        kept = self.answers.get(key)
        if kept is None:
            answer = make()
            fingerprint = request.idempotency_key.fingerprint
            self.answers[key] = KeptAnswer(fingerprint, answer.SerializeToString(), type(answer))
            return answer
        if kept.fingerprint != request.idempotency_key.fingerprint:
            raise AppError(Kind.INVALID, "IDEMPOTENCY_KEY_REUSED", "Another request.")
        replayed = cast("AnswerT", kept.answer_type.FromString(kept.answer))
        replayed.replayed = True
        return replayed

    def product(self, product_id: str) -> product_pb2.Product:
        """Return the product itself, not a copy."""
        product = self.products.get(known_id("product_id", product_id))
        if product is None:
            raise product_not_found(product_id)
        return product

    def move_stock(
        self, product: product_pb2.Product, change: int, reason: str, order_id: str = ""
    ) -> None:
        product.stock += change
        product.version += 1
        product.updated_time.CopyFrom(self.now())
        self.write_movement(product, change, reason, order_id)

    def write_movement(
        self, product: product_pb2.Product, change: int, reason: str, order_id: str = ""
    ) -> None:
        movement = product_pb2.StockMovement(
            id=self.ids.new_id(),
            quantity_change=change,
            reason=reason,
            order_id=order_id,
            created_time=self.now(),
        )
        self.movements.setdefault(product.id, []).append(movement)

    def account(self, user_id: str) -> Account:
        if user_id not in self.accounts:
            raise AppError(Kind.MISSING, "USER_NOT_FOUND", "No such user.")
        return self.accounts[user_id]

    def account_by_email(self, email: str) -> Account | None:
        key = email.casefold()
        for account in self.accounts.values():
            if account.user.email.casefold() == key:
                return account
        return None

    def versioned(self, user_id: str, expected_version: int) -> Account:
        account = self.account(user_id)
        if expected_version and account.user.version != expected_version:
            raise stale()
        return account

    def refuse_taken(self, email: str, *, but: str = "") -> None:
        holder = self.account_by_email(email)
        if holder is not None and holder.user.id != but:
            raise AppError(Kind.EXISTS, "EMAIL_EXISTS", "Taken.")

    def refuse_no_admin(self, without: Account) -> None:
        if not is_active_admin(without.user):
            return
        admins = [kept for kept in self.accounts.values() if is_active_admin(kept.user)]
        if admins == [without]:
            raise AppError(Kind.CONFLICT, "INVALID_STATE", "The last active admin.")

    def end_sessions(self, user_id: str, *, but: str = "") -> None:
        for kept in self.sessions.values():
            if kept.session.user_id == user_id and kept.session.id != but and kept.ended is None:
                kept.ended = self.clock.now()

    def lives(self, kept: KeptSession) -> bool:
        expires = datetime_from(kept.session.expire_time)
        return kept.ended is None and expires is not None and expires > self.clock.now()


def is_active_admin(user: user_pb2.User) -> bool:
    return user.status == user_pb2.USER_STATUS_ACTIVE and "admin" in user.roles


def known_id(field_name: str, value: str) -> str:
    """Return an id in lower case, if it is one."""
    value = value.lower()
    if _UUID.fullmatch(value) is None:
        raise invalid({field_name: ["Not a UUID."]})
    return value


def product_not_found(product_id: str) -> AppError:
    return AppError(Kind.MISSING, "PRODUCT_NOT_FOUND", "No such product.", product_id=product_id)


def stale() -> AppError:
    return AppError(Kind.STALE, "PRECONDITION_FAILED", "Changed meanwhile.")


def invalid_token() -> AppError:
    return AppError(Kind.UNAUTHENTICATED, "INVALID_TOKEN", "Not valid.")


def token_expired() -> AppError:
    return AppError(Kind.UNAUTHENTICATED, "TOKEN_EXPIRED", "Expired.")


def not_active() -> AppError:
    return AppError(Kind.FORBIDDEN, "ACCOUNT_NOT_ACTIVE", "Not active.")
