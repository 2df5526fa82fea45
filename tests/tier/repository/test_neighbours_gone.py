"""The tier while a store is silent, gone, and back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import insert, select

from arcana.repository.v1 import rate_limit_repository_pb2, session_repository_pb2
from arcana.repository.v1 import user_repository_pb2 as messages
from arcana.repository.v1.product_repository_pb2 import GetProductRequest, UpdateProductRequest
from repository_tier.engine import PoolSettings, make_engines
from repository_tier.idempotency import once_key_from_proto
from repository_tier.migrate import migrate
from repository_tier.tables import idempotency_keys, users
from tests.fakes.clock import FakeClock
from tests.stores import Store, TcpRelay
from tests.stores.waiting import eventually
from tests.tier.repository.conftest import StartTier
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import (
    RunningTier,
    all_at_once,
    failure,
    outcomes,
    running_tier,
)
from tier_runtime.clock import SystemClock
from tier_runtime.errors import Kind

UNAVAILABLE = (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")


@pytest.fixture
def redis_relay(real_store: Store) -> Iterator[TcpRelay]:
    with TcpRelay.to(real_store.redis_url) as relay:
        yield relay


@pytest.fixture
def on_redis(redis_relay: TcpRelay, start_real_tier: StartTier) -> RunningTier:
    """A tier whose Redis a test can take away; its breaker stays open until the clock moves."""
    return start_real_tier(redis_url=redis_relay.url, cache_timeout_seconds=0.1)


@pytest.fixture
def database_relay(real_store: Store) -> Iterator[TcpRelay]:
    with TcpRelay.to(real_store.database_url) as relay:
        yield relay


@pytest.fixture
def on_database(database_relay: TcpRelay, start_real_tier: StartTier) -> RunningTier:
    """A tier whose database a test can take away."""
    return start_real_tier(
        database_url=database_relay.url,
        tier_clock=SystemClock(),
        database_connect_timeout_seconds=1,
        database_io_timeout_seconds=2.1,
    )


@pytest.mark.parametrize("away", ["cut", "stall"])
def test_with_redis_away_reads_and_writes_go_on_quickly(
    on_redis: RunningTier, redis_relay: TcpRelay, make: Requests, away: str
) -> None:
    user = on_redis.users.CreateUser(make.user()).user
    get = messages.GetUserRequest(user_id=user.id)
    assert on_redis.users.GetUser(get).user == user
    getattr(redis_relay, away)()

    began = time.monotonic()
    for _ in range(20):
        assert on_redis.users.GetUser(get).user == user
    on_redis.users.UpdateUser(messages.UpdateUserRequest(user_id=user.id, name="Grace"))
    assert on_redis.users.GetUser(get).user.name == "Grace"
    first = make.new_id()
    on_redis.sessions.CreateSession(make.session(user.id, first))
    on_redis.sessions.RotateRefreshToken(make.rotation(first, make.new_id()))
    # Three time-outs of 0.1 s until the breaker opens; without it each read would take two.
    assert time.monotonic() - began < 3


def test_what_was_written_without_redis_is_read_when_it_is_back(
    on_redis: RunningTier, redis_relay: TcpRelay, make: Requests, clock: FakeClock
) -> None:
    user = on_redis.users.CreateUser(make.user()).user
    get = messages.GetUserRequest(user_id=user.id)
    on_redis.users.GetUser(get)
    redis_relay.cut()
    on_redis.users.UpdateUser(messages.UpdateUserRequest(user_id=user.id, name="Grace"))
    redis_relay.restore()
    clock.advance(1)
    eventually(lambda: on_redis.health.is_serving("store.cache"), what="the cache's health")
    assert on_redis.users.GetUser(get).user.name == "Grace"


def test_the_health_check_puts_what_was_written_without_redis(
    on_redis: RunningTier,
    redis_relay: TcpRelay,
    start_real_tier: StartTier,
    make: Requests,
    clock: FakeClock,
) -> None:
    user = on_redis.users.CreateUser(make.user()).user
    product = on_redis.products.CreateProduct(make.product()).product
    redis_relay.cut()
    on_redis.users.UpdateUser(messages.UpdateUserRequest(user_id=user.id, name="Grace"))
    on_redis.products.UpdateProduct(UpdateProductRequest(product_id=product.id, name="Loom"))
    # Another process, which reads what this one has put and nothing else.
    other = start_real_tier()
    get_user = messages.GetUserRequest(user_id=user.id)
    get_product = GetProductRequest(product_id=product.id)
    assert other.users.GetUser(get_user).user == user
    assert other.products.GetProduct(get_product).product == product
    redis_relay.restore()
    clock.advance(1)
    eventually(
        lambda: (
            other.users.GetUser(get_user).user.name == "Grace"
            and other.products.GetProduct(get_product).product.name == "Loom"
        ),
        what="what was written without the cache",
    )


def test_rate_limits_without_redis_are_unavailable_and_come_back(
    on_redis: RunningTier, redis_relay: TcpRelay, clock: FakeClock
) -> None:
    request = rate_limit_repository_pb2.TakeRateLimitRequest(
        buckets=[
            rate_limit_repository_pb2.RateLimitBucket(key="a", limit=5, window=Duration(seconds=60))
        ]
    )
    on_redis.limits.TakeRateLimit(request)
    redis_relay.stall()
    began = time.monotonic()
    for _ in range(6):
        assert failure(on_redis.limits.TakeRateLimit, request) == UNAVAILABLE
    assert time.monotonic() - began < 1
    redis_relay.restore()
    clock.advance(1)
    assert on_redis.limits.TakeRateLimit(request).states[0].allowed


def test_health_tells_of_redis(on_redis: RunningTier, redis_relay: TcpRelay) -> None:
    eventually(lambda: on_redis.health.is_serving("store.cache"), what="a cache that serves")
    redis_relay.cut()
    eventually(lambda: not on_redis.health.is_serving("store.cache"), what="a cache that does not")
    assert on_redis.health.is_serving("store.database")
    assert on_redis.health.is_serving("arcana.repository.v1.UserRepository")


@pytest.mark.parametrize("away", ["cut", "stall"])
def test_with_the_database_away_calls_fail_in_time_and_work_again_when_it_is_back(
    on_database: RunningTier, database_relay: TcpRelay, make: Requests, away: str
) -> None:
    user = on_database.users.CreateUser(make.user()).user
    cached = messages.GetUserRequest(user_id=user.id)
    on_database.users.GetUser(cached)
    getattr(database_relay, away)()

    calls: list[Callable[[], object]] = [
        lambda: on_database.users.GetUser(
            messages.GetUserRequest(user_id=make.new_id()), timeout=5
        ),
        lambda: on_database.users.CreateUser(make.user(), timeout=5),
        lambda: on_database.sessions.ListSessions(
            session_repository_pb2.ListSessionsRequest(user_id=user.id), timeout=5
        ),
    ]
    answers = all_at_once(12, lambda number: calls[number % 3]())
    assert outcomes(answers) == {"SERVICE_UNAVAILABLE": 12}
    # What the cache knows is still told.
    assert on_database.users.GetUser(cached).user == user
    eventually(lambda: not on_database.health.is_serving("store.database"), what="bad health")

    database_relay.restore()
    assert on_database.users.CreateUser(make.user()).user.version == 1
    eventually(lambda: on_database.health.is_serving("store.database"), what="good health")


def test_a_call_that_waits_for_a_lock_is_told_that_the_database_is_busy(
    start_real_tier: StartTier, make: Requests
) -> None:
    tier = start_real_tier()
    user = tier.users.CreateUser(make.user()).user
    with tier.engine.begin() as other:
        other.execute(select(users).where(users.c.id == user.id).with_for_update())
        request = messages.UpdateUserRequest(user_id=user.id, name="Grace")
        assert failure(tier.users.UpdateUser, request) == UNAVAILABLE
        # Reads wait for nobody.
        owner = messages.GetCredentialsRequest(user_id=user.id)
        assert tier.users.GetCredentials(owner).user == user


def test_a_key_whose_first_call_does_not_end_is_in_progress(
    start_real_tier: StartTier, make: Requests, clock: FakeClock
) -> None:
    tier = start_real_tier()
    request = make.user(idempotency_key=make.key(make.new_id()))
    taken = once_key_from_proto(request.idempotency_key)
    with tier.engine.connect() as other, other.begin() as first_call:
        other.execute(
            insert(idempotency_keys).values(
                key_sha256=taken.key_sha256,
                scope=taken.scope,
                fingerprint=taken.fingerprint,
                expire_time=clock.now(),
            )
        )
        in_progress = (Kind.CONFLICT, "IDEMPOTENCY_IN_PROGRESS")
        assert failure(tier.users.CreateUser, request) == in_progress
        first_call.rollback()
    assert not tier.users.CreateUser(request).replayed


def test_a_write_beside_a_long_one_of_another_process_is_told_that_the_file_is_busy(
    tmp_path: Path, clock: FakeClock, make: Requests
) -> None:
    store = Store("embedded", f"sqlite:///{tmp_path / 'arcana.db'}", "")
    migrate(store.database_url)
    engines = make_engines(store.database_url, PoolSettings(4, 1.0, 1, 3.0))
    with (
        closing(engines),
        running_tier(store, engines.writers, clock) as tier,
    ):
        user = tier.users.CreateUser(make.user()).user
        with tier.engine.begin():
            assert failure(tier.users.CreateUser, make.user()) == UNAVAILABLE
            owner = messages.GetCredentialsRequest(user_id=user.id)
            assert tier.users.GetCredentials(owner).user == user
        tier.users.CreateUser(make.user())
