"""The state of the fake service tier."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from google.protobuf.message import Message

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.service.v1.auth_service_pb2 import (
    EndedSession,
    RoleChange,
    Session,
    TokenPair,
)
from arcana.service.v1.file_pb2 import File
from arcana.service.v1.job_pb2 import Job
from arcana.service.v1.order_pb2 import Order
from arcana.service.v1.product_pb2 import PRODUCT_STATUS_ACTIVE, Product, StockMovement
from arcana.service.v1.report_pb2 import DailyReport
from arcana.service.v1.user_pb2 import USER_STATUS_ACTIVE, User, UserProfile, UserStatus
from tests.fakes.service.tokens import LIFETIME, TokenMint
from tier_runtime.call import Actor, Call, current_call
from tier_runtime.clock import Clock
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import Uuid7Source
from tier_runtime.timestamps import timestamp_from


@dataclass(slots=True)
class FakeAccount:
    """A user with what no answer shows."""

    user: User
    password: str
    profile: UserProfile


@dataclass(frozen=True, slots=True)
class Received:
    """One call as it arrived."""

    method: str
    request: Any
    call: Call | None
    timeout: float | None


@dataclass(slots=True)
class FakeServiceTier:
    """Behaves as the contract says, as far as the edge can tell.

    `failures` names methods that raise; `before` is called with the method's name on each call,
    and may wait or raise.
    """

    clock: Clock
    mint: TokenMint = field(init=False)
    # What StreamEvents sends; None is a sign of life, of which more come while `more_events` says.
    events: list[DomainEvent | None] = field(default_factory=list)
    more_events: Callable[[], bool] = lambda: False
    accounts: dict[str, FakeAccount] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    refresh_tokens: dict[str, str] = field(default_factory=dict)
    dead_refresh_tokens: dict[str, str] = field(default_factory=dict)
    one_time_tokens: dict[str, str] = field(default_factory=dict)
    ended: list[EndedSession] = field(default_factory=list)
    role_changes: list[RoleChange] = field(default_factory=list)
    products: dict[str, Product] = field(default_factory=dict)
    movements: dict[str, list[StockMovement]] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    reports: dict[str, DailyReport] = field(default_factory=dict)
    files: dict[str, tuple[File, bytes]] = field(default_factory=dict)
    # What GetDownload tells; "" as where the files lie with the repository tier.
    download_url: str = ""
    replays: dict[tuple[str, str, str], tuple[bytes, Message]] = field(default_factory=dict)
    buckets: dict[str, int] = field(default_factory=dict)
    serving: dict[str, bool] = field(default_factory=dict)
    failures: dict[str, AppError] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    before: Callable[[str], None] = field(default=lambda _method: None)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _ids: Uuid7Source = field(default_factory=Uuid7Source)

    def __post_init__(self) -> None:
        self.mint = TokenMint(self.clock)
        names = ("", "tier.repository", "store.database", "store.cache")
        self.serving.update(dict.fromkeys(names, True))

    # What tests do.

    def add_user(
        self,
        email: str = "ada@example.org",
        *,
        name: str = "Ada Lovelace",
        password: str = "Correct-Horse-7",
        roles: tuple[str, ...] = ("user",),
        status: UserStatus.ValueType = USER_STATUS_ACTIVE,
    ) -> User:
        now = timestamp_from(self.clock.now())
        user = User(
            id=self._ids.new_id(),
            email=email,
            name=name,
            status=status,
            roles=sorted(set(roles) | {"user"}),
            version=1,
            created_time=now,
            updated_time=now,
        )
        self.accounts[user.id] = FakeAccount(user, password, UserProfile(user_id=user.id))
        return user

    def add_product(self, name: str = "Brass gear", **members: Any) -> Product:
        """Make an active product that costs 19.99 US dollars, or as the members say."""
        now = timestamp_from(self.clock.now())
        usual: dict[str, Any] = {
            "price_minor": 1999,
            "currency_code": "USD",
            "status": PRODUCT_STATUS_ACTIVE,
        }
        stock = members.pop("stock", 0)
        product = Product(
            id=self.new_id(),
            name=name,
            version=1,
            created_time=now,
            updated_time=now,
            **(usual | members),
        )
        self.products[product.id], self.movements[product.id] = product, []
        if stock:
            self.move(product, stock, "initial")
            product.version = 1
        return product

    def start_session(self, user: User) -> TokenPair:
        session_id = self._ids.new_id()
        now = self.clock.now()
        self.sessions[session_id] = Session(
            id=session_id,
            user_id=user.id,
            created_time=timestamp_from(now),
            refreshed_time=timestamp_from(now),
            expire_time=timestamp_from(now + timedelta(days=7)),
            client_address="192.0.2.1",
        )
        return self.pair(session_id)

    def sign_in(self, user: User) -> str:
        """Start a session and return its access token."""
        return self.start_session(user).access_token

    def end_session(self, session_id: str) -> None:
        if self.sessions.pop(session_id, None) is not None:
            self.ended.append(
                EndedSession(session_id=session_id, end_time=timestamp_from(self.clock.now()))
            )

    def end_sessions_of(self, user_id: str, but: str = "") -> None:
        for session in list(self.sessions.values()):
            if session.user_id == user_id and session.id != but:
                self.end_session(session.id)

    def methods(self) -> list[str]:
        return [each.method for each in self.received]

    def last(self, method: str) -> Received:
        return [each for each in self.received if each.method == method][-1]

    # What the faces share.

    def enter(self, method: str, request: Message, timeout: float | None = None) -> Actor:
        """Note the call, fail if told to, and return who calls."""
        call = current_call()
        copy = type(request)()
        copy.CopyFrom(request)
        self.received.append(Received(method, copy, call, timeout))
        self.before(method)
        failure = self.failures.get(method)
        if failure is not None:
            raise failure
        return call.actor if call else Actor()

    def new_id(self) -> str:
        return self._ids.new_id()

    def pair(self, session_id: str) -> TokenPair:
        user = self.accounts[self.sessions[session_id].user_id].user
        refresh_token = f"refresh-{self._ids.new_id()}"
        self.refresh_tokens[refresh_token] = session_id
        return TokenPair(
            access_token=self.mint.issue(user.id, session_id, tuple(user.roles)),
            refresh_token=refresh_token,
            expires_in_seconds=int(LIFETIME.total_seconds()),
        )

    def by_email(self, email: str) -> FakeAccount | None:
        for account in self.accounts.values():
            if account.user.email.casefold() == email.casefold():
                return account
        return None

    def account(self, user_id: str) -> FakeAccount:
        account = self.accounts.get(user_id)
        if account is None:
            raise AppError(Kind.MISSING, "USER_NOT_FOUND", "There is no such user.")
        return account

    def product(self, product_id: str) -> Product:
        product = self.products.get(product_id)
        if product is None:
            raise AppError(Kind.MISSING, "PRODUCT_NOT_FOUND", "There is no such product.")
        return product

    def move(self, product: Product, change: int, reason: str, order_id: str = "") -> None:
        """Change the stock, with its line in the ledger."""
        product.stock += change
        self.movements[product.id].append(
            StockMovement(
                id=self.new_id(),
                quantity_change=change,
                reason=reason,
                order_id=order_id,
                created_time=timestamp_from(self.clock.now()),
            )
        )
        self.touch(product)

    def touch(self, thing: User | Product | Order) -> None:
        thing.version += 1
        thing.updated_time.CopyFrom(timestamp_from(self.clock.now()))

    def once(self, scope: str, request: Any, make: Callable[[], Any]) -> Any:
        """Give the first answer again to a request with the same key."""
        key, actor = request.request_id, current_call()
        if not key:
            return make()
        place = (scope, actor.actor.subject if actor else "", key)
        text = request.SerializeToString(deterministic=True)
        with self.lock:
            if place in self.replays:
                known, answer = self.replays[place]
                if known != text:
                    raise AppError(
                        Kind.INVALID, "IDEMPOTENCY_KEY_REUSED", "The key was used already."
                    )
                again = type(answer)()
                again.CopyFrom(answer)
                again.replayed = True  # type: ignore[attr-defined]  # both answers have it
                return again
            answer = make()
            self.replays[place] = (text, answer)
            return answer


def require_signed_in(actor: Actor) -> str:
    if actor.is_anonymous:
        raise AppError(Kind.UNAUTHENTICATED, "UNAUTHENTICATED", "Sign in first.")
    return actor.subject


def require_admin(actor: Actor) -> None:
    require_signed_in(actor)
    if "admin" not in actor.roles:
        raise AppError(Kind.FORBIDDEN, "FORBIDDEN", "Only admins may do this.")


def require_self_or_admin(actor: Actor, user_id: str) -> None:
    if require_signed_in(actor) != user_id and "admin" not in actor.roles:
        raise AppError(Kind.FORBIDDEN, "FORBIDDEN", "Only the user itself may do this.")
