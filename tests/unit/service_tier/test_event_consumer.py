"""What the consumer does with events, in no time and without a socket."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.repository.v1 import event_repository_pb2 as pb
from arcana.repository.v1 import job_repository_pb2 as jobs_pb
from service_tier.event_consumer import GROUP, EventConsumer, Reaction
from service_tier.repository import Repository
from tests.fakes.clock import FakeClock
from tests.fakes.repository import FakeRepository, InPlaceChannel
from tests.stores.waiting import eventually
from tier_runtime.call import current_call
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import Uuid7Source
from tier_runtime.validation import invalid

_IDS = Uuid7Source()


class World:
    """A consumer, and what stands behind it."""

    def __init__(self) -> None:
        self.fake = FakeRepository(FakeClock())
        self.channel = InPlaceChannel(self.fake.registrations())
        self.repository = Repository.over(self.channel)

    def consumer(self, **reactions: Reaction) -> EventConsumer:
        return EventConsumer(self.repository, reactions)

    def append(self, *types: str) -> list[str]:
        events = [
            DomainEvent(id=_IDS.new_id(), type=each, request_id=f"r-{number}")
            for number, each in enumerate(types)
        ]
        self.fake.state.events.extend(events)
        return [event.id for event in events]

    def unique_keys(self) -> list[str]:
        """Return the unique keys of all jobs, in the order in which they were enqueued."""
        return [kept.unique_key for kept in self.fake.jobs.kept.values()]

    def enqueuing_calls(self) -> int:
        return self.channel.calls.count("EnqueueJobs")

    def dead(self) -> list[pb.DeadEvent]:
        request = pb.ListDeadEventsRequest(group=GROUP)
        return list(self.repository.events.ListDeadEvents(request).dead_events)


@pytest.fixture
def world() -> World:
    return World()


def one_job(event: DomainEvent) -> Sequence[jobs_pb.NewJob]:
    return [jobs_pb.NewJob(id=_IDS.new_id(), name="send", unique_key=f"event:{event.id}")]


def test_the_jobs_of_a_batch_are_enqueued_by_one_call(world: World) -> None:
    wanted = world.append("made", "made", "other", "made")
    consumer = world.consumer(made=one_job)
    assert consumer.consume() == 3
    assert world.unique_keys() == [f"event:{wanted[place]}" for place in (0, 1, 3)]
    assert world.enqueuing_calls() == 1
    assert consumer.consume() == 0


def test_an_event_that_comes_twice_is_one_job(world: World) -> None:
    (wanted,) = world.append("made")

    def fail(_request: object) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Away.")

    # The job is there, and its event is not settled: the crash in between.
    world.channel.before["SettleEvents"] = fail
    consumer = world.consumer(made=one_job)
    with pytest.raises(AppError):
        consumer.consume()
    del world.channel.before["SettleEvents"]
    assert consumer.consume() == 1
    assert world.unique_keys() == [f"event:{wanted}"]


def test_a_reaction_runs_in_the_name_of_the_request_that_caused_the_event(world: World) -> None:
    seen: list[str] = []

    def reaction(_event: DomainEvent) -> Sequence[jobs_pb.NewJob]:
        call = current_call()
        assert call is not None
        seen.append(call.request_id)
        return []

    world.append("made", "made")
    world.consumer(made=reaction).consume()
    assert seen == ["r-0", "r-1"]
    assert world.enqueuing_calls() == 0


def test_a_poison_event_dies_after_its_attempts_and_blocks_nothing(world: World) -> None:
    poison, good = world.append("poison", "made")

    def reaction(_event: DomainEvent) -> Sequence[jobs_pb.NewJob]:
        raise LookupError("a secret")

    consumer = world.consumer(poison=reaction, made=one_job)
    assert [consumer.consume() for _ in range(4)] == [2, 1, 1, 0]
    assert world.unique_keys() == [f"event:{good}"]
    (letter,) = world.dead()
    # No text of a stranger's exception: it may quote what it stumbled over.
    assert (letter.event.id, letter.error) == (poison, "LookupError")


def test_a_job_that_is_refused_fails_its_event_only(world: World) -> None:
    bad, good = world.append("made", "made")

    def refuse(request: jobs_pb.EnqueueJobsRequest) -> None:
        if any(job.unique_key == f"event:{bad}" for job in request.jobs):
            raise invalid({"jobs": ["Not one that can be kept."]})

    world.channel.before["EnqueueJobs"] = refuse
    consumer = world.consumer(made=one_job)
    for _ in range(4):
        consumer.consume()
    assert world.unique_keys() == [f"event:{good}"]
    (letter,) = world.dead()
    assert (letter.event.id, letter.error.partition(":")[0]) == (bad, "VALIDATION_FAILED")


def test_while_jobs_cannot_be_enqueued_no_attempt_counts(world: World) -> None:
    (wanted,) = world.append("made")

    def fail(_request: object) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Away.")

    world.channel.before["EnqueueJobs"] = fail
    consumer = world.consumer(made=one_job)
    assert [consumer.consume() for _ in range(10)] == [1] * 10
    del world.channel.before["EnqueueJobs"]
    consumer.consume()
    assert world.unique_keys() == [f"event:{wanted}"]
    assert world.dead() == []


def test_what_a_reaction_finds_away_comes_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service_tier.event_consumer.PAUSE_SECONDS", 0.0)
    world.append("made")
    tries = []

    def reaction(event: DomainEvent) -> Sequence[jobs_pb.NewJob]:
        tries.append(event.id)
        if len(tries) < 6:
            raise AppError(Kind.DEADLINE, "DEADLINE_EXCEEDED", "Late.")
        return one_job(event)

    consumer = world.consumer(made=reaction)
    for _ in range(6):
        consumer.consume()
    assert len(world.unique_keys()) == 1


def test_what_is_away_for_one_event_is_not_waited_for_by_all_of_its_type(world: World) -> None:
    _, _, good = world.append("slow", "slow", "made", "slow")[:3]
    tries = []

    def reaction(event: DomainEvent) -> Sequence[jobs_pb.NewJob]:
        tries.append(event.id)
        # As long as the others' leases are.
        raise AppError(Kind.DEADLINE, "DEADLINE_EXCEEDED", "Late.")

    consumer = world.consumer(slow=reaction, made=one_job)
    assert consumer.consume() == 4
    assert len(tries) == 1
    assert world.unique_keys() == [f"event:{good}"]
    assert consumer.consume() == 3
    assert world.dead() == []


def test_a_long_reason_for_coming_again_is_cut_to_what_is_kept(world: World) -> None:
    world.append("made")
    settled: list[pb.SettleEventsRequest] = []
    world.channel.before["SettleEvents"] = settled.append

    def reaction(_event: DomainEvent) -> Sequence[jobs_pb.NewJob]:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "x" * 1000)

    world.consumer(made=reaction).consume()
    assert [len(each.error) for each in settled[0].settlements] == [500]


def test_a_stream_that_is_opened_while_the_consumer_stops_is_given_up(world: World) -> None:
    consumer = world.consumer(made=one_job)
    world.append("made")
    consumer.stop()
    assert consumer.consume() == 0
    assert not world.unique_keys()


def test_an_event_may_call_for_more_jobs_than_one_call_takes(world: World) -> None:
    (wanted,) = world.append("many")

    def reaction(event: DomainEvent) -> Sequence[jobs_pb.NewJob]:
        return [
            jobs_pb.NewJob(id=_IDS.new_id(), name="send", unique_key=f"{event.id}:{number}")
            for number in range(2500)
        ]

    world.consumer(many=reaction).consume()
    assert len(world.unique_keys()) == 2500
    assert world.enqueuing_calls() == 3
    assert f"{wanted}:2499" in world.unique_keys()


def test_the_thread_goes_on_when_the_repository_tier_is_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service_tier.event_consumer.PAUSE_SECONDS", 0.01)
    failures = iter(range(3))
    failed = threading.Event()

    def fail(_request: object) -> None:
        if next(failures, None) is not None:
            raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Away.")
        failed.set()

    world.channel.before["ConsumeEvents"] = fail
    consumer = world.consumer(made=one_job)
    consumer.start()
    consumer.start()
    try:
        assert failed.wait(5)
        world.append("made")
        eventually(world.unique_keys)
    finally:
        consumer.stop()
    world.append("made")
    assert len(world.unique_keys()) == 1


def test_a_consumer_that_never_began_can_be_stopped(world: World) -> None:
    world.consumer(made=one_job).stop()
