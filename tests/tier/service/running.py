"""The service tier over real gRPC, inside this process, on a repository tier of any kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import grpc
from sqlalchemy import delete

from arcana.service.v1 import (
    auth_service_pb2,
    auth_service_pb2_grpc,
    file_service_pb2_grpc,
    job_service_pb2_grpc,
    order_service_pb2_grpc,
    product_service_pb2_grpc,
    rate_limit_service_pb2_grpc,
    user_pb2,
    user_service_pb2,
    user_service_pb2_grpc,
)
from repository_tier.engine import PoolSettings, make_engines
from repository_tier.main import assemble
from repository_tier.settings import RepositorySettings
from repository_tier.tables import metadata, roles
from service_tier.main import make_tier
from service_tier.repository import channel_settings
from service_tier.settings import ServiceSettings
from tests.fakes.repository import FakeRepository
from tests.stores import Store
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.channel import open_channel
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.health import HealthBoard
from tier_runtime.ids import Uuid7Source
from tier_runtime.logs import get_logger
from tier_runtime.server import GrpcServerSettings, TierServer, build_server
from tier_runtime.settings import load

PASSWORD = "Quiet-River-42-Stones"
OTHER_PASSWORD = "Loud-Mountain-77-Trees"
SYSTEM = Actor("system", frozenset({"admin"}))
FAST = "scrypt:1024:8:1"


def empty(database_url: str) -> None:
    """Take every row out of a migrated database, but for the known roles."""
    engines = make_engines(database_url, PoolSettings(2, 1.0, 5, 30.0))
    try:
        with engines.writers.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                if table is not roles:
                    connection.execute(delete(table))
    finally:
        engines.close()


@contextmanager
def repository_on(store: Store, clock: Clock) -> Iterator[str]:
    """Run the repository tier on a migrated store; give its URL."""
    settings = load(RepositorySettings, {"REPOSITORY_BIND": "127.0.0.1:0", **store.environ()})
    tier = assemble(settings, clock, Random(7), Uuid7Source())
    with ExitStack() as stack:
        for callback in reversed(tier.on_stop):
            stack.callback(callback)
        server = build_server(settings.grpc(), tier.services, tier.health, get_logger("repository"))
        server.start()
        stack.callback(server.stop)
        yield f"grpc://{server.address}"


@contextmanager
def fake_repository_server(repository: FakeRepository, bind: str = "127.0.0.1:0") -> Iterator[str]:
    """Run the fake repository tier as a server; give its URL."""
    server = build_server(
        GrpcServerSettings(bind=bind),
        repository.registrations(),
        HealthBoard(),
        get_logger("fake_repository"),
    )
    server.start()
    try:
        yield f"grpc://{server.address}"
    finally:
        server.stop()


@dataclass(frozen=True, slots=True)
class RunningService:
    """Stubs of a running service tier."""

    auth: auth_service_pb2_grpc.AuthServiceStub
    users: user_service_pb2_grpc.UserServiceStub
    rate_limits: rate_limit_service_pb2_grpc.RateLimitServiceStub
    products: product_service_pb2_grpc.ProductServiceStub
    orders: order_service_pb2_grpc.OrderServiceStub
    jobs: job_service_pb2_grpc.JobServiceStub
    files: file_service_pb2_grpc.FileServiceStub
    channel: grpc.Channel
    server: TierServer

    @contextmanager
    def acting(self, actor: Actor, seconds: float = 20.0) -> Iterator[None]:
        """Call as this actor."""
        with call_scope(Call(actor, "request-1", Deadline.after(seconds))):
            yield

    def register(self, email: str, password: str = PASSWORD) -> user_pb2.User:
        request = auth_service_pb2.RegisterRequest(email=email, name="Ada", password=password)
        return self.auth.Register(request).user

    def login(self, email: str, password: str = PASSWORD) -> auth_service_pb2.TokenPair:
        return self.auth.Login(auth_service_pb2.LoginRequest(email=email, password=password)).tokens

    def create(self, email: str, *role_names: str) -> user_pb2.User:
        with self.acting(SYSTEM):
            return self.users.CreateUser(
                user_service_pb2.CreateUserRequest(
                    email=email, name="Someone", password=PASSWORD, roles=role_names
                )
            ).user


@contextmanager
def service_on(repository_url: str, home: Path, **settings: object) -> Iterator[RunningService]:
    """Run the service tier; settings by their names, such as `hash_queue`."""
    loaded = ServiceSettings.model_validate(
        {
            "service_bind": "127.0.0.1:0",
            "repository_url": repository_url,
            "arcana_home": home,
            "password_hash_method": FAST,
            "health_probe_interval": 0.05,
            **settings,
        }
    )
    with ExitStack() as stack:
        tier = make_tier(loaded, open_channel(repository_url, channel_settings()))
        for callback in reversed(tier.on_stop):
            stack.callback(callback)
        server = build_server(loaded.server(), tier.services, tier.health, get_logger("service"))
        server.start()
        stack.callback(server.stop)
        up = stack.enter_context(open_channel(f"grpc://{server.address}"))
        yield RunningService(
            auth_service_pb2_grpc.AuthServiceStub(up),
            user_service_pb2_grpc.UserServiceStub(up),
            rate_limit_service_pb2_grpc.RateLimitServiceStub(up),
            product_service_pb2_grpc.ProductServiceStub(up),
            order_service_pb2_grpc.OrderServiceStub(up),
            job_service_pb2_grpc.JobServiceStub(up),
            file_service_pb2_grpc.FileServiceStub(up),
            up,
            server,
        )
