"""The service tier over a fake repository tier, in one process, with no socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from werkzeug.security import check_password_hash, generate_password_hash

from arcana.common.v1 import domain_event_pb2
from arcana.repository.v1 import product_pb2 as kept_product_pb2
from arcana.service.v1 import (
    auth_service_pb2,
    auth_service_pb2_grpc,
    file_service_pb2_grpc,
    job_service_pb2_grpc,
    order_service_pb2_grpc,
    product_pb2,
    product_service_pb2,
    product_service_pb2_grpc,
    rate_limit_service_pb2_grpc,
    user_pb2,
    user_service_pb2,
    user_service_pb2_grpc,
)
from service_tier.assembly.key_material import read_token_secret
from service_tier.assembly.services import make_services
from service_tier.one_time_tokens import OneTimeTokens, Purpose
from service_tier.repository import Repository
from service_tier.settings import ServiceSettings
from tests.fakes.audit import KeptActs
from tests.fakes.clock import FakeClock
from tests.fakes.repository import FakeRepository, InPlaceChannel
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.ids import Uuid7Source
from tier_runtime.metrics.meters import Meters
from tier_runtime.telemetry import Telemetry

METHOD = "scrypt:1024:8:1"
PASSWORD = "Quiet-River-42-Stones"
OTHER_PASSWORD = "Loud-Mountain-77-Trees"
EMAIL = "ada@example.org"

ACTIVE = product_pb2.PRODUCT_STATUS_ACTIVE

ADMIN = Actor("019aa000-0000-7000-8000-00000000000a", frozenset({"admin", "user"}))


@dataclass
class CountingFunction:
    """Really hashes, counts how often, and stops where a test wants it to."""

    method: str = METHOD
    hashes: int = 0
    verifications: list[str] = field(default_factory=list)
    on_hash: Callable[[], None] = lambda: None
    on_verify: Callable[[], None] = lambda: None

    def hash(self, password: str) -> str:
        self.hashes += 1
        self.on_hash()
        return generate_password_hash(password, method=self.method)

    def verify(self, password_hash: str, password: str) -> bool:
        self.verifications.append(password_hash)
        self.on_verify()
        return check_password_hash(password_hash, password)

    def forget(self) -> None:
        self.hashes = 0
        self.verifications.clear()


class Harness:
    """Stubs of the service tier, and everything behind them."""

    def __init__(self, home: Path, meters: Meters | None = None, **settings: object) -> None:
        self.clock = FakeClock()
        self.audit = KeptActs()
        self.repository = FakeRepository(self.clock, changes_per_page=3)
        self.channel = self.repository.channel()
        self.function = CountingFunction()
        self.settings = ServiceSettings.model_validate(
            {"arcana_home": home, "password_hash_method": METHOD, "hash_concurrency": 2, **settings}
        )
        ids = Uuid7Source()
        self.services = make_services(
            self.settings,
            Repository.over(self.channel, meters=meters),
            self.function,
            self.clock,
            ids,
            audit=self.audit,
            telemetry=Telemetry(meters),
        )
        self.function.forget()
        self.one_time_tokens = OneTimeTokens(read_token_secret(self.settings), self.clock, ids)
        face = InPlaceChannel(self.services)
        self.auth = auth_service_pb2_grpc.AuthServiceStub(face)
        self.users = user_service_pb2_grpc.UserServiceStub(face)
        self.rate_limits = rate_limit_service_pb2_grpc.RateLimitServiceStub(face)
        self.products = product_service_pb2_grpc.ProductServiceStub(face)
        self.orders = order_service_pb2_grpc.OrderServiceStub(face)
        self.jobs = job_service_pb2_grpc.JobServiceStub(face)
        self.files = file_service_pb2_grpc.FileServiceStub(face)

    @contextmanager
    def acting(self, actor: Actor, seconds: float = 5.0) -> Iterator[None]:
        """Call as this actor, with so much time on the fake clock."""
        deadline = Deadline.after(seconds, self.clock.monotonic)
        with call_scope(Call(actor, "request-1", deadline)):
            yield

    def register(self, email: str = EMAIL, password: str = PASSWORD) -> user_pb2.User:
        request = auth_service_pb2.RegisterRequest(email=email, name="Ada", password=password)
        return self.auth.Register(request).user

    def login(self, email: str = EMAIL, password: str = PASSWORD) -> auth_service_pb2.TokenPair:
        request = auth_service_pb2.LoginRequest(email=email, password=password)
        return self.auth.Login(request).tokens

    def create(self, email: str, *roles: str) -> user_pb2.User:
        """Make a user as an admin."""
        with self.acting(ADMIN):
            return self.users.CreateUser(
                user_service_pb2.CreateUserRequest(
                    email=email, name="Someone", password=PASSWORD, roles=roles
                )
            ).user

    def product(self, name: str = "Lamp", **fields: Any) -> product_pb2.Product:
        """Make a product as an admin: one that can be ordered, unless told otherwise."""
        told = {"price_minor": 1999, "stock": 100, "status": ACTIVE, **fields}
        with self.acting(ADMIN):
            return self.products.CreateProduct(
                product_service_pb2.CreateProductRequest(name=name, **told)
            ).product

    def kept_product(self, product_id: str) -> kept_product_pb2.Product:
        """Return a product as the repository tier has it now."""
        return self.repository.state.products[product_id]

    def actor(self, email: str = EMAIL, *roles: str) -> Actor:
        """Return the account's actor in its newest session, signing in first."""
        self.login(email)
        session = list(self.repository.state.sessions.values())[-1].session
        return Actor(session.user_id, frozenset(roles or ("user",)), session.id)

    def set_status(self, user_id: str, status: user_pb2.UserStatus.ValueType) -> None:
        with self.acting(ADMIN):
            self.users.UpdateUserStatus(
                user_service_pb2.UpdateUserStatusRequest(user_id=user_id, status=status)
            )

    def events(self, event_type: str) -> list[domain_event_pb2.DomainEvent]:
        return [event for event in self.repository.state.events if event.type == event_type]

    def mailed_token(self, purpose: Purpose, event_type: str) -> str:
        """Return the token that the newest such event has mailed."""
        return self.one_time_tokens.token_of(
            purpose, self.events(event_type)[-1].payload["token_id"]
        )
