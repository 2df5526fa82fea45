"""What an operator is told of the stores, on each kind of them and without them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from arcana.common.v1 import tier_status_pb2 as pb
from arcana.common.v1.tier_status_pb2_grpc import TierStatusServiceStub
from arcana.repository.v1.user_repository_pb2 import GetUserRequest
from repository_tier.revisions import required_revision
from tests.fakes.clock import FakeClock
from tests.stores import Store, TcpRelay
from tests.tier.repository.conftest import StartTier
from tests.tier.repository.event_flow import TYPES, RelayAlone, append, consume, publish_all
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier
from tests.tier.repository.test_jobs import enqueue, fail, new_job, started
from tier_runtime.clock import SystemClock
from tier_runtime.timestamps import timestamp_from


def status_of(tier: RunningTier) -> pb.TierStatus:
    stub = TierStatusServiceStub(tier.channel)
    answer = stub.GetTierStatus(pb.GetTierStatusRequest(), timeout=10.0, wait_for_ready=True)
    assert list(answer.behind) == []
    return answer.status


def test_the_stores_are_named_with_their_revision(tier: RunningTier, empty_store: Store) -> None:
    status = status_of(tier)
    assert status.tier == "repository"
    assert "arcana.repository.v1.JobRepository" in status.services
    is_real = empty_store.kind == "real"
    assert status.database.kind in (("mysql", "mariadb") if is_real else ("sqlite",))
    assert status.database.revision == status.database.needed_revision == required_revision()
    assert status.cache == pb.CacheStatus(kind="redis" if is_real else "memory")


def test_jobs_are_counted_while_somebody_has_to_care(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    assert status_of(tier).jobs == pb.JobsStatus()
    later = clock.now() + timedelta(hours=1)
    enqueue(tier, new_job(make), new_job(make, due_time=timestamp_from(later)))
    clock.advance(90)
    started(tier, make)
    job_id, lease_id = started(tier, make)
    tier.jobs.FailJob(fail(job_id, lease_id, permanent=True))
    jobs = status_of(tier).jobs
    assert (jobs.waiting_count, jobs.running_count, jobs.failed_count) == (2, 1, 1)
    assert jobs.oldest_due_age.ToTimedelta() == timedelta(seconds=90)


def test_a_job_that_is_not_due_yet_is_not_late(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    later = clock.now() + timedelta(hours=1)
    enqueue(tier, new_job(make, due_time=timestamp_from(later)))
    jobs = status_of(tier).jobs
    assert jobs.waiting_count == 1
    assert not jobs.HasField("oldest_due_age")


def test_events_are_told_by_where_they_wait(
    tier: RunningTier, alone: RelayAlone, make: Requests, clock: FakeClock
) -> None:
    append(tier.events, *(make.event(type=TYPES[0]) for _ in range(2)))
    clock.advance(75)
    events = status_of(tier).events
    assert (events.unpublished_count, events.unsettled_count) == (2, 0)
    assert events.oldest_unpublished_age.ToTimedelta() == timedelta(seconds=75)
    publish_all(alone.relay)
    # One is in hand, and one waits.
    assert len(consume(tier.events, 1, 20.0)) == 1
    events = status_of(tier).events
    assert (events.unpublished_count, events.unsettled_count, events.dead_count) == (0, 2, 0)
    assert not events.HasField("oldest_unpublished_age")
    assert events.HasField("oldest_unsettled_age")


@pytest.fixture
def redis_relay(real_store: Store) -> Iterator[TcpRelay]:
    with TcpRelay.to(real_store.redis_url) as relay:
        yield relay


@pytest.fixture
def database_relay(real_store: Store) -> Iterator[TcpRelay]:
    with TcpRelay.to(real_store.database_url) as relay:
        yield relay


def test_without_redis_the_breaker_is_told_and_the_database_all_the_same(
    redis_relay: TcpRelay, start_real_tier: StartTier, make: Requests
) -> None:
    tier = start_real_tier(redis_url=redis_relay.url, cache_timeout_seconds=0.1)
    user = tier.users.CreateUser(make.user()).user
    status = status_of(tier)
    assert not status.cache.breaker_open
    assert status.events.HasField("unsettled_count")
    redis_relay.cut()
    for _ in range(5):
        tier.users.GetUser(GetUserRequest(user_id=user.id))
    status = status_of(tier)
    assert status.cache.breaker_open
    assert status.HasField("events")
    assert not status.events.HasField("unsettled_count")
    assert status.HasField("jobs")
    assert status.database.revision == required_revision()


def test_without_a_database_its_kind_is_told_and_no_revision(
    database_relay: TcpRelay, start_real_tier: StartTier
) -> None:
    tier = start_real_tier(
        database_url=database_relay.url,
        tier_clock=SystemClock(),
        database_connect_timeout_seconds=1,
        database_io_timeout_seconds=2.1,
    )
    database_relay.cut()
    status = status_of(tier)
    assert status.database.kind in {"mysql", "mariadb"}
    assert (status.database.revision, status.database.needed_revision) == (
        "",
        required_revision(),
    )
    assert not status.HasField("jobs")
    assert status.cache.kind == "redis"
