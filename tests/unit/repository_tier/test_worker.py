"""The worker: what it hands over, and what the clock has it ask for."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from arcana.service.v1 import job_service_pb2 as pb
from repository_tier.jobs.broker import BrokerAddress, celery_app
from repository_tier.worker.calls import SYSTEM
from repository_tier.worker.hand_over import HandOver
from repository_tier.worker.schedule import SCHEDULE, JobScheduler, Ticks, TickSchedule
from repository_tier.worker.settings import WorkerSettings
from tests.fakes.clock import FakeClock
from tier_runtime.call import current_call
from tier_runtime.errors import AppError, Kind
from tier_runtime.settings import load
from tier_runtime.timestamps import datetime_from

DOWN = AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")


class FakeJobs:
    """JobService as the worker sees it; a test lays out the errors that come first."""

    def __init__(self, *errors: AppError) -> None:
        self.errors = list(errors)
        self.run: list[str] = []
        self.ticks: dict[tuple[str, datetime], int] = {}
        self.on_call: Callable[[], None] = lambda: None

    def RunJob(self, request: pb.RunJobRequest) -> pb.RunJobResponse:
        self._enter()
        self.run.append(request.job_id)
        return pb.RunJobResponse(outcome=pb.JOB_OUTCOME_SUCCEEDED)

    def ScheduleJob(self, request: pb.ScheduleJobRequest) -> pb.ScheduleJobResponse:
        self._enter()
        moment = datetime_from(request.scheduled_time)
        assert moment is not None
        tick = (request.name, moment)
        self.ticks[tick] = self.ticks.get(tick, 0) + 1
        return pb.ScheduleJobResponse(job_id="j", created=self.ticks[tick] == 1)

    def _enter(self) -> None:
        call = current_call()
        assert call is not None
        assert call.actor == SYSTEM
        self.on_call()
        if self.errors:
            raise self.errors.pop(0)


def hand_over(jobs: FakeJobs, stopping: threading.Event | None = None) -> HandOver:
    return HandOver(
        jobs,  # type: ignore[arg-type]  # has what is called
        limit_seconds=300,
        is_stopping=stopping or threading.Event(),
        random=Random(7),
    )


def test_a_job_is_handed_over_until_the_service_tier_answers() -> None:
    jobs = FakeJobs(DOWN, DOWN)
    assert hand_over(jobs).run("j-1")
    assert jobs.run == ["j-1"]


def test_a_worker_that_is_to_end_gives_the_message_back() -> None:
    stopping = threading.Event()
    jobs = FakeJobs(*[DOWN] * 100)
    jobs.on_call = stopping.set
    assert not hand_over(jobs, stopping).run("j-1")
    assert jobs.run == []


def test_any_other_error_is_left_to_the_leases() -> None:
    late = AppError(Kind.DEADLINE, "DEADLINE_EXCEEDED", "Too long.")
    jobs = FakeJobs(late)
    assert hand_over(jobs).run("j-1")
    assert jobs.run == []


def test_ticks_are_the_same_for_everybody() -> None:
    now = datetime(2026, 11, 21, 1, 59, 59, tzinfo=UTC)
    assert SCHEDULE["sync-users"].latest(now) == datetime(2026, 11, 21, 1, 55, tzinfo=UTC)
    for name in ("cleanup-tokens", "cleanup-files"):
        assert SCHEDULE[name].latest(now) == datetime(2026, 11, 21, 1, tzinfo=UTC)
    assert SCHEDULE["daily-report"].latest(now) == datetime(2026, 11, 20, 2, tzinfo=UTC)
    later = now + timedelta(seconds=1)
    assert SCHEDULE["daily-report"].latest(later) == datetime(2026, 11, 21, 2, tzinfo=UTC)


def scheduler(
    jobs: FakeJobs, clock: FakeClock, tmp_path: Path, apart: Mapping[str, float] | None = None
) -> JobScheduler:
    app = celery_app(BrokerAddress.under("", tmp_path))
    app.conf.beat_schedule = {
        name: {
            "task": name,
            "schedule": TickSchedule(Ticks(timedelta(seconds=seconds)), clock, app),
            "last_run_at": datetime(1970, 1, 1, tzinfo=UTC),
        }
        for name, seconds in (apart or {"sync-users": 300}).items()
    }
    return JobScheduler(app=app, jobs=jobs)  # type: ignore[arg-type]  # has what is called


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 11, 21, 4, 2, tzinfo=UTC))


def test_of_three_schedulers_each_tick_wins_once(clock: FakeClock, tmp_path: Path) -> None:
    jobs = FakeJobs()
    three = [scheduler(jobs, clock, tmp_path) for _ in range(3)]
    for _ in range(4):
        for each in three:
            each.tick()
        clock.advance(150)
    moments = sorted(moment for _, moment in jobs.ticks)
    assert moments == [
        datetime(2026, 11, 21, 4, 0, tzinfo=UTC),
        datetime(2026, 11, 21, 4, 5, tzinfo=UTC),
    ]
    assert set(jobs.ticks.values()) == {3}


def test_a_tick_that_could_not_be_asked_for_is_asked_for_again(
    clock: FakeClock, tmp_path: Path
) -> None:
    jobs = FakeJobs(DOWN, DOWN)
    one = scheduler(jobs, clock, tmp_path)
    pauses = [one.tick() for _ in range(4)]
    assert max(pauses[:2]) <= 1
    assert list(jobs.ticks.values()) == [1]


def test_a_clock_that_was_fast_and_is_set_right_holds_nothing_up(
    clock: FakeClock, tmp_path: Path
) -> None:
    jobs = FakeJobs()
    one = scheduler(jobs, clock, tmp_path, {"sync-users": 300, "cleanup-tokens": 3600})
    clock.advance(86_400 * 30)
    one.tick()
    clock.advance(-86_400 * 30)
    jobs.ticks.clear()
    for _ in range(13):
        one.tick()
        clock.advance(300)
    names = [name for name, _ in jobs.ticks]
    assert (names.count("sync-users"), names.count("cleanup-tokens")) == (13, 2)
    assert set(jobs.ticks.values()) == {1}


def test_the_worker_is_told_where_the_broker_is(tmp_path: Path) -> None:
    environ = {"ARCANA_HOME": str(tmp_path)}
    assert load(WorkerSettings, environ).broker().folder == tmp_path / "broker"
    environ["REDIS_URL"] = "redis://:secret@127.0.0.1:6379/0"
    settings = load(WorkerSettings, environ)
    assert settings.broker().redis_url == environ["REDIS_URL"]
    assert "secret" not in repr(settings)


def test_a_scheduler_installs_nothing_of_its_own(clock: FakeClock, tmp_path: Path) -> None:
    assert list(scheduler(FakeJobs(), clock, tmp_path).schedule) == ["sync-users"]


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("", "arcana-folder://"),
        ("redis://127.0.0.1:6379/3", "redis://127.0.0.1:6379/3"),
        ("unix:///run/redis.sock?db=3", "redis+socket:///run/redis.sock?virtual_host=3"),
        ("unix://:secret@/run/redis.sock", "redis+socket://:secret@/run/redis.sock?virtual_host=0"),
    ],
)
def test_the_broker_is_where_the_cache_is(tmp_path: Path, url: str, written: str) -> None:
    app = celery_app(BrokerAddress.under(url, tmp_path))
    assert app.conf.broker_url == written
    assert not app.conf.broker_use_ssl


def test_a_broker_over_tls_must_show_its_certificate(tmp_path: Path) -> None:
    app = celery_app(BrokerAddress.under("rediss://redis.example:6380/0", tmp_path))
    assert app.conf.broker_use_ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
