"""Jobs get to the broker, whatever was lost on the way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from arcana.repository.v1 import job_pb2
from arcana.repository.v1 import job_repository_pb2 as messages
from repository_tier.database import Database
from repository_tier.engine import PoolSettings, make_engines
from repository_tier.jobs.broker import Broker, BrokerAddress, BrokerError
from repository_tier.jobs.publishing import (
    LOST_AFTER,
    LOST_AT_LAST_AFTER,
    MOST_WAITING,
    Publisher,
    Sweep,
)
from tests.fakes.clock import FakeClock
from tests.stores import Store
from tests.stores.waiting import eventually
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier
from tier_runtime.clock import SystemClock
from tier_runtime.timestamps import timestamp_from


class FakeBroker:
    """Keeps what is published until a test takes it."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.full = 0
        self.is_down = False

    def publish(self, job_id: str) -> None:
        if self.is_down:
            raise BrokerError
        self.messages.append(job_id)

    def waiting(self) -> int:
        if self.is_down:
            raise BrokerError
        return self.full or len(self.messages)


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def sweep(
    tier: RunningTier, empty_store: Store, clock: FakeClock, broker: FakeBroker
) -> Iterator[Sweep]:
    """The sweep of another process than the tier's."""
    engines = make_engines(empty_store.database_url, PoolSettings(2, 1.0, 5, 30.0))
    yield Sweep(Database(engines, clock, Random(7)), broker, clock, Random(7))
    engines.close()


def enqueue(tier: RunningTier, make: Requests, count: int = 1, **fields: Any) -> list[str]:
    jobs = [messages.NewJob(id=make.new_id(), name="n", **fields) for _ in range(count)]
    return [job.id for job in tier.jobs.EnqueueJobs(messages.EnqueueJobsRequest(jobs=jobs)).jobs]


def start(tier: RunningTier, make: Requests, job_id: str, seconds: int = 30) -> None:
    tier.jobs.StartJob(
        messages.StartJobRequest(
            job_id=job_id, lease_id=make.new_id(), lease_duration=Duration(seconds=seconds)
        )
    )


def get(tier: RunningTier, job_id: str) -> job_pb2.Job:
    return tier.jobs.GetJob(messages.GetJobRequest(job_id=job_id)).job


def test_what_is_due_is_published_once(
    tier: RunningTier, make: Requests, clock: FakeClock, broker: FakeBroker, sweep: Sweep
) -> None:
    ids = enqueue(tier, make, 3)
    later = enqueue(tier, make, due_time=timestamp_from(clock.now() + timedelta(seconds=5)))
    assert sweep.once() == 3
    assert sorted(broker.messages) == sorted(ids)
    assert sweep.once() == 0
    clock.advance(5)
    assert sweep.once() == 1
    assert broker.messages[3:] == later


def test_a_broker_that_is_full_gets_no_more(
    tier: RunningTier, make: Requests, broker: FakeBroker, sweep: Sweep
) -> None:
    enqueue(tier, make, 3)
    broker.full = MOST_WAITING
    assert sweep.once() == 0
    broker.full = MOST_WAITING - 2
    assert sweep.once() == 2


def test_what_a_broker_did_not_take_is_published_later(
    tier: RunningTier, make: Requests, broker: FakeBroker, sweep: Sweep
) -> None:
    ids = enqueue(tier, make, 2)
    broker.is_down = True
    with pytest.raises(BrokerError):
        sweep.publish_due()
    # Lost between the claim and the broker.
    broker.waiting = lambda: 0  # type: ignore[method-assign]  # it answers, and then it does not
    with pytest.raises(BrokerError):
        sweep.publish_due()
    broker.is_down = False
    assert sweep.publish_due() == 2
    assert sorted(broker.messages) == sorted(ids)


def test_a_message_that_was_lost_is_published_again_once_none_waits(
    tier: RunningTier, make: Requests, clock: FakeClock, broker: FakeBroker, sweep: Sweep
) -> None:
    (lost,) = enqueue(tier, make)
    (begun,) = enqueue(tier, make)
    sweep.once()
    start(tier, make, begun, seconds=3600)
    clock.advance(LOST_AFTER.total_seconds() + 1)
    assert sweep.once() == 0, "a worker may yet take what waits"
    broker.messages.clear()
    assert sweep.once() == 1
    assert broker.messages == [lost]


def test_a_lost_message_is_found_although_others_come_all_the_time(
    tier: RunningTier, make: Requests, clock: FakeClock, broker: FakeBroker, sweep: Sweep
) -> None:
    (lost,) = enqueue(tier, make)
    sweep.once()
    broker.messages.clear()
    clock.advance(LOST_AFTER.total_seconds() + 1)
    (other,) = enqueue(tier, make)
    assert sweep.once() == 2
    assert sorted(broker.messages) == sorted([lost, other])


def test_a_lost_message_is_found_although_others_wait_all_the_time(
    tier: RunningTier, make: Requests, clock: FakeClock, broker: FakeBroker, sweep: Sweep
) -> None:
    (lost,) = enqueue(tier, make)
    sweep.once()
    broker.messages.clear()
    broker.full = 1
    clock.advance(LOST_AT_LAST_AFTER.total_seconds())
    assert sweep.once() == 0
    clock.advance(1)
    assert sweep.once() == 1
    assert broker.messages == [lost]


def test_a_job_whose_lease_ran_out_is_tried_again_until_its_last_attempt(
    tier: RunningTier, make: Requests, clock: FakeClock, broker: FakeBroker, sweep: Sweep
) -> None:
    (job_id,) = enqueue(tier, make, max_attempts=2)
    start(tier, make, job_id)
    clock.advance(29)
    assert sweep.requeue_abandoned() == 0
    clock.advance(2)
    assert sweep.requeue_abandoned() == 1
    job = get(tier, job_id)
    assert (job.status, job.error.code) == (job_pb2.JOB_STATUS_QUEUED, "DEADLINE_EXCEEDED")
    clock.advance(2)
    sweep.once()
    assert broker.messages == [job_id]
    start(tier, make, job_id)
    clock.advance(31)
    sweep.once()
    assert get(tier, job_id).status == job_pb2.JOB_STATUS_FAILED


def test_the_publisher_sweeps_when_it_is_told_and_goes_on_after_a_failure(
    tier: RunningTier, make: Requests, broker: FakeBroker, sweep: Sweep
) -> None:
    publisher = Publisher(sweep, SystemClock())
    publisher.stop()
    publisher = Publisher(sweep, SystemClock())
    publisher.start()
    try:
        enqueue(tier, make)
        publisher.tell()
        eventually(lambda: len(broker.messages) == 1, 10)
        broker.is_down = True
        (late,) = enqueue(tier, make)
        publisher.tell()
        broker.is_down = False
        eventually(lambda: late in broker.messages, 20)
    finally:
        publisher.stop()


def test_the_real_broker_takes_and_counts_messages(empty_store: Store, tmp_path: Path) -> None:
    broker = Broker(BrokerAddress.under(empty_store.redis_url, tmp_path))
    broker.close()
    assert broker.waiting() == 0
    broker.publish("a")
    broker.publish("b")
    assert broker.waiting() == 2
    broker.close()


def test_a_broker_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    nobody = Broker(BrokerAddress.under("redis://127.0.0.1:1/0", tmp_path))
    with pytest.raises(BrokerError):
        nobody.publish("a")
    nobody.close()
