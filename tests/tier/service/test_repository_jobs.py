"""What the service tier relies on about jobs: the fake repository tier and the real one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import idempotency_pb2, job_pb2, report_repository_pb2
from arcana.repository.v1 import job_repository_pb2 as pb
from arcana.repository.v1 import user_sync_repository_pb2 as syncs
from service_tier.repository import Repository, channel_settings
from tests.fakes.clock import FakeClock
from tests.tier.service.contract_requests import UNKNOWN, Kept, code_of, digest
from tier_runtime.channel import open_channel
from tier_runtime.ids import Uuid7Source

LEASE = Duration(seconds=30)
QUEUED, RUNNING = job_pb2.JOB_STATUS_QUEUED, job_pb2.JOB_STATUS_RUNNING
SUCCEEDED, FAILED = job_pb2.JOB_STATUS_SUCCEEDED, job_pb2.JOB_STATUS_FAILED
ERROR = job_pb2.JobError(code="SERVICE_UNAVAILABLE", message="Down.")


class Jobs:
    """A repository tier of any kind, and what the shared tests have done in it."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.stub = repository.jobs
        self._ids = Uuid7Source()

    def new(self, **fields: Any) -> pb.NewJob:
        return pb.NewJob(**{"id": self._ids.new_id(), "name": "n", **fields})

    def enqueue(self, *jobs: pb.NewJob, **fields: Any) -> pb.EnqueueJobsResponse:
        return self.stub.EnqueueJobs(pb.EnqueueJobsRequest(jobs=jobs, **fields))

    def start(self, job_id: str) -> tuple[pb.StartJobResponse, dict[str, Any]]:
        leased: dict[str, Any] = {"job_id": job_id, "lease_id": self._ids.new_id()}
        return self.stub.StartJob(pb.StartJobRequest(**leased, lease_duration=LEASE)), leased


@pytest.fixture
def jobs(any_repository_url: str) -> Iterator[Jobs]:
    with open_channel(any_repository_url, channel_settings()) as channel:
        yield Jobs(Repository.over(channel))


def test_a_key_has_one_job_and_one_answer(jobs: Jobs) -> None:
    first = jobs.new(unique_key="event:1")
    answer = jobs.enqueue(first)
    assert (answer.jobs[0].created, answer.jobs[0].job.status) == (True, QUEUED)
    again = jobs.enqueue(jobs.new(unique_key="event:1"), jobs.new(), first)
    assert [job.created for job in again.jobs] == [False, True, False]
    assert [job.id for job in again.jobs[::2]] == [first.id, first.id]
    assert not again.jobs[0].HasField("job")
    key = idempotency_pb2.IdempotencyKey(scope="s", key="k", fingerprint=digest("one"))
    kept = jobs.enqueue(jobs.new(), idempotency_key=key)
    replayed = jobs.enqueue(jobs.new(), idempotency_key=key)
    assert (list(replayed.jobs), replayed.replayed) == (list(kept.jobs), True)


def test_an_attempt_is_begun_reported_and_ended_under_its_lease(
    jobs: Jobs, clock: FakeClock
) -> None:
    job_id = jobs.enqueue(jobs.new(payload=b"what")).jobs[0].id
    started, leased = jobs.start(job_id)
    assert (started.payload, started.checkpoint, started.job.attempts) == (b"what", b"", 1)
    assert code_of(lambda: jobs.start(job_id)) == "INVALID_STATE"
    progress = job_pb2.JobProgress(done=1, total=2)
    report = pb.ReportJobProgressRequest(
        **leased, progress=progress, checkpoint=b"here", lease_duration=LEASE
    )
    assert jobs.stub.ReportJobProgress(report).job.progress == progress
    failed = jobs.stub.FailJob(pb.FailJobRequest(**leased, error=ERROR)).job
    assert (failed.status, failed.error) == (QUEUED, ERROR)
    assert code_of(lambda: jobs.start(job_id)) == "INVALID_STATE"
    assert code_of(lambda: jobs.stub.ReportJobProgress(report)) == "INVALID_STATE"
    clock.advance(2)
    started, leased = jobs.start(job_id)
    assert (started.checkpoint, started.job.attempts) == (b"here", 2)
    finish = pb.FinishJobRequest(**leased, result={"a": "b"})
    done = jobs.stub.FinishJob(finish).job
    assert (done.status, dict(done.result), done.HasField("error")) == (
        SUCCEEDED,
        {"a": "b"},
        False,
    )
    assert jobs.stub.FinishJob(finish).job == done
    assert jobs.stub.GetJob(pb.GetJobRequest(job_id=job_id)).job == done


def test_a_job_that_was_given_up_is_queued_once_more(jobs: Jobs) -> None:
    job_id = jobs.enqueue(jobs.new(max_attempts=1)).jobs[0].id
    _, leased = jobs.start(job_id)
    failing = pb.FailJobRequest(**leased, error=ERROR)
    dead = jobs.stub.FailJob(failing).job
    assert (dead.status, jobs.stub.FailJob(failing).job) == (FAILED, dead)
    retry = pb.RetryJobRequest(job_id=job_id)
    assert jobs.stub.RetryJob(retry).job.status == QUEUED
    assert code_of(lambda: jobs.stub.RetryJob(retry)) == "INVALID_STATE"
    assert jobs.start(job_id)[0].job.attempts == 2
    assert code_of(lambda: jobs.stub.GetJob(pb.GetJobRequest(job_id=UNKNOWN))) == "JOB_NOT_FOUND"


def test_jobs_are_listed_by_status_and_name(jobs: Jobs) -> None:
    ids = [job.id for job in jobs.enqueue(*(jobs.new(name=name) for name in "aba")).jobs]
    jobs.start(ids[1])

    def listed(**wanted: Any) -> list[str]:
        page = paging_pb2.PageRequest(page_size=2)
        request = pb.ListJobsRequest(filter=pb.JobFilter(**wanted), page=page)
        return [job.id for job in jobs.stub.ListJobs(request).jobs]

    assert listed() == ids[:2]
    assert listed(name="a") == ids[::2]
    assert listed(status=RUNNING) == [ids[1]]


def test_a_report_is_kept_by_its_day(jobs: Jobs) -> None:
    reports = jobs.repository.reports
    wanted = report_repository_pb2.GetDailyReportRequest(date="2026-11-20")
    assert code_of(lambda: reports.GetDailyReport(wanted)) == "NOT_FOUND"
    made = reports.MakeDailyReport(
        report_repository_pb2.MakeDailyReportRequest(date="2026-11-20")
    ).report
    assert reports.GetDailyReport(wanted).report == made


def test_a_user_waits_until_its_version_is_synced(jobs: Jobs, kept: Kept) -> None:
    user = kept.user()
    everything = syncs.ListPendingUsersRequest()
    waiting = jobs.repository.user_syncs.ListPendingUsers(everything)
    assert (list(waiting.users), waiting.pending) == ([user], 1)
    said = syncs.UserSync(user_id=user.id, version=1, status=syncs.USER_SYNC_STATUS_SYNCED)
    jobs.repository.user_syncs.RecordUserSyncs(syncs.RecordUserSyncsRequest(syncs=[said]))
    assert jobs.repository.user_syncs.ListPendingUsers(everything).pending == 0
