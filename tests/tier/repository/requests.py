"""Requests that are right in all that a test does not say."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.repository.v1.idempotency_pb2 import IdempotencyKey
from arcana.repository.v1.one_time_token_pb2 import (
    ONE_TIME_TOKEN_PURPOSE_EMAIL_VERIFICATION,
    ONE_TIME_TOKEN_PURPOSE_PASSWORD_RESET,
    NewOneTimeToken,
)
from arcana.repository.v1.order_pb2 import PRICING_REGULAR
from arcana.repository.v1.order_repository_pb2 import PlaceOrderRequest, PricedLine
from arcana.repository.v1.product_pb2 import PRODUCT_STATUS_ACTIVE
from arcana.repository.v1.product_repository_pb2 import CreateProductRequest
from arcana.repository.v1.session_repository_pb2 import (
    CreateSessionRequest,
    RotateRefreshTokenRequest,
)
from arcana.repository.v1.user_pb2 import USER_STATUS_ACTIVE
from arcana.repository.v1.user_repository_pb2 import CreateUserRequest
from tier_runtime.clock import Clock
from tier_runtime.ids import Uuid7Source
from tier_runtime.timestamps import timestamp_from

HASH = "scrypt:1024:8:1$salt$" + "ab" * 64


def sha256(text: str) -> bytes:
    """Return the digest under which a token is known."""
    return hashlib.sha256(text.encode()).digest()


class Requests:
    """Makes requests; keywords replace single fields."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ids = Uuid7Source()

    def new_id(self) -> str:
        return self._ids.new_id()

    def email(self) -> str:
        return f"{secrets.token_hex(6)}@example.org"

    def after(self, **time: float) -> Timestamp:
        """Return the time of the tier's clock plus a timedelta's arguments."""
        return timestamp_from(self._clock.now() + timedelta(**time))

    def event(self, **fields: Any) -> DomainEvent:
        values: dict[str, Any] = {
            "id": self.new_id(),
            "type": "user.created",
            "aggregate_type": "user",
            "aggregate_id": self.new_id(),
            "payload": {"status": "active"},
            "occurred_time": self.after(),
            "request_id": "r-1",
        }
        return DomainEvent(**values | fields)

    def user(self, **fields: Any) -> CreateUserRequest:
        values: dict[str, Any] = {
            "user_id": self.new_id(),
            "email": self.email(),
            "name": "Ada Lovelace",
            "password_hash": HASH,
            "roles": ["user"],
            "status": USER_STATUS_ACTIVE,
        }
        return CreateUserRequest(**values | fields)

    def admin(self, **fields: Any) -> CreateUserRequest:
        return self.user(**{"roles": ["admin", "user"]} | fields)

    def session(self, user_id: str, token: str = "", **fields: Any) -> CreateSessionRequest:
        values: dict[str, Any] = {
            "session_id": self.new_id(),
            "user_id": user_id,
            "expected_credential_version": 1,
            "refresh_token_sha256": sha256(token or secrets.token_hex()),
            "expire_time": self.after(days=7),
            "client_address": "192.0.2.7",
            "user_agent": "a browser",
        }
        return CreateSessionRequest(**values | fields)

    def rotation(self, presented: str, successor: str, **fields: Any) -> RotateRefreshTokenRequest:
        values: dict[str, Any] = {
            "presented_sha256": sha256(presented),
            "successor_sha256": sha256(successor),
            "expire_time": self.after(days=7),
        }
        return RotateRefreshTokenRequest(**values | fields)

    def verification(self, token: str, **fields: Any) -> NewOneTimeToken:
        return self._token(token, ONE_TIME_TOKEN_PURPOSE_EMAIL_VERIFICATION, fields)

    def reset(self, token: str, **fields: Any) -> NewOneTimeToken:
        return self._token(token, ONE_TIME_TOKEN_PURPOSE_PASSWORD_RESET, fields)

    def product(self, **fields: Any) -> CreateProductRequest:
        values: dict[str, Any] = {
            "product_id": self.new_id(),
            "name": "Analytical Engine",
            "price_minor": 1999,
            "currency_code": "USD",
            "status": PRODUCT_STATUS_ACTIVE,
        }
        return CreateProductRequest(**values | fields)

    def key(self, key: str = "k-1", **fields: Any) -> IdempotencyKey:
        values: dict[str, Any] = {
            "scope": "anonymous:register",
            "key": key,
            "fingerprint": sha256("the request"),
        }
        return IdempotencyKey(**values | fields)

    def order(self, *lines: PricedLine, **fields: Any) -> PlaceOrderRequest:
        values: dict[str, Any] = {
            "order_id": self.new_id(),
            "user_id": self.new_id(),
            "items": lines,
            "currency_code": "USD",
            "pricing": PRICING_REGULAR,
            "total_minor": sum(
                line.quantity * line.unit_price_minor - line.discount_minor for line in lines
            ),
        }
        return PlaceOrderRequest(**values | fields)

    def line(self, product_id: str, quantity: int = 1, **fields: Any) -> PricedLine:
        values: dict[str, Any] = {
            "product_id": product_id,
            "quantity": quantity,
            "unit_price_minor": 1000,
        }
        return PricedLine(**values | fields)

    def _token(self, token: str, purpose: int, fields: dict[str, Any]) -> NewOneTimeToken:
        values: dict[str, Any] = {
            "id": self.new_id(),
            "token_sha256": sha256(token),
            "purpose": purpose,
            "expire_time": self.after(hours=1),
        }
        return NewOneTimeToken(**values | fields)
