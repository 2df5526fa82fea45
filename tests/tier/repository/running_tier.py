"""The repository tier over real gRPC, inside this process, on a store of the test's choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random
from threading import Barrier
from typing import Any, TypeVar

import grpc
import pytest
from sqlalchemy import Engine, Executable, RowMapping

from arcana.repository.v1.event_repository_pb2_grpc import EventRepositoryStub
from arcana.repository.v1.file_repository_pb2_grpc import FileRepositoryStub
from arcana.repository.v1.job_repository_pb2_grpc import JobRepositoryStub
from arcana.repository.v1.order_repository_pb2_grpc import OrderRepositoryStub
from arcana.repository.v1.product_repository_pb2_grpc import ProductRepositoryStub
from arcana.repository.v1.rate_limit_repository_pb2_grpc import RateLimitRepositoryStub
from arcana.repository.v1.session_repository_pb2 import EndSessionByRefreshTokenRequest
from arcana.repository.v1.session_repository_pb2_grpc import SessionRepositoryStub
from arcana.repository.v1.user_repository_pb2_grpc import UserRepositoryStub
from repository_tier.main import assemble
from repository_tier.settings import RepositorySettings
from tests.stores import Store
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.clock import Clock
from tier_runtime.errors import AppError, Kind
from tier_runtime.health import HealthBoard
from tier_runtime.ids import Uuid7Source
from tier_runtime.logs import get_logger
from tier_runtime.server import build_server
from tier_runtime.settings import load

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunningTier:
    """Stubs of a running tier, and a look at what it has stored."""

    users: UserRepositoryStub
    sessions: SessionRepositoryStub
    products: ProductRepositoryStub
    orders: OrderRepositoryStub
    jobs: JobRepositoryStub
    files: FileRepositoryStub
    events: EventRepositoryStub
    limits: RateLimitRepositoryStub
    health: HealthBoard
    channel: grpc.Channel
    engine: Engine

    def rows(self, statement: Executable) -> list[RowMapping]:
        """Return what the statement finds in the database."""
        with self.engine.begin() as connection:
            return list(connection.execute(statement).mappings())

    def change(self, statement: Executable) -> None:
        """Change the database behind the tier's back."""
        with self.engine.begin() as connection:
            connection.execute(statement)


@contextmanager
def running_tier(
    store: Store, engine: Engine, clock: Clock, **settings: object
) -> Iterator[RunningTier]:
    """Start a tier on a migrated store; settings by their names, such as `cache_ttl_seconds`."""
    environ = {
        "REPOSITORY_BIND": "127.0.0.1:0",
        "STORE_PROBE_SECONDS": "0.05",
        # The machine of a test run may be busy; tests of the time-outs set their own.
        "DATABASE_CONNECT_TIMEOUT_SECONDS": "10",
        "DATABASE_IO_TIMEOUT_SECONDS": "30",
        "CACHE_TIMEOUT_SECONDS": "3",
        **store.environ(),
        **{name.upper(): str(value) for name, value in settings.items()},
    }
    with ExitStack() as stack:
        loaded = load(RepositorySettings, environ)
        tier = assemble(loaded, clock, Random(7), Uuid7Source())
        for callback in reversed(tier.on_stop):
            stack.callback(callback)
        server = build_server(loaded.grpc(), tier.services, tier.health, get_logger("repository"))
        server.start()
        stack.callback(server.stop)
        url = f"grpc://{server.address}"
        channel = open_channel(url, ChannelSettings(default_deadline_seconds=20.0))
        stack.callback(channel.close)
        yield RunningTier(
            UserRepositoryStub(channel),
            SessionRepositoryStub(channel),
            ProductRepositoryStub(channel),
            OrderRepositoryStub(channel),
            JobRepositoryStub(channel),
            FileRepositoryStub(channel),
            EventRepositoryStub(channel),
            RateLimitRepositoryStub(channel),
            server.health,
            channel,
            engine,
        )


def warm_up(tier: RunningTier) -> None:
    """Have the tier open all its connections: a race with cold pools is a queue of handshakes."""
    request = EndSessionByRefreshTokenRequest(refresh_token_sha256=b"nobody's" * 4)
    all_at_once(64, lambda _number: tier.sessions.EndSessionByRefreshToken(request))


def failure(call: Callable[[Any], object], request: Any) -> tuple[Kind, str]:
    """Return how a call fails that must fail."""
    with pytest.raises(AppError) as caught:
        call(request)
    return caught.value.kind, caught.value.code


def bad_fields(call: Callable[[Any], object], request: Any) -> set[str]:
    """Return the fields that a call refuses that must refuse some."""
    with pytest.raises(AppError) as caught:
        call(request)
    assert (caught.value.kind, caught.value.code) == (Kind.INVALID, "VALIDATION_FAILED")
    return set(caught.value.field_errors)


def all_at_once(count: int, call: Callable[[int], T]) -> list[T | AppError]:
    """Make that many calls at the same time; an AppError stands for the answer it replaced."""

    together = Barrier(count)

    def attempt(number: int) -> T | AppError:
        together.wait(30)
        try:
            return call(number)
        except AppError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(attempt, range(count)))


def outcomes(answers: list[Any]) -> dict[str, int]:
    """Count the answers by error code, successes as "OK"."""
    counts: dict[str, int] = {}
    for answer in answers:
        code = answer.code if isinstance(answer, AppError) else "OK"
        counts[code] = counts.get(code, 0) + 1
    return counts
