"""Jobs: enqueued once, begun once, and ended or tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from arcana.common.v1.paging_pb2 import PageRequest
from arcana.repository.v1 import idempotency_pb2, job_pb2
from arcana.repository.v1 import job_repository_pb2 as messages
from tests.fakes.clock import FakeClock
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier, all_at_once, bad_fields, failure
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import datetime_from, timestamp_from

QUEUED, RUNNING = job_pb2.JOB_STATUS_QUEUED, job_pb2.JOB_STATUS_RUNNING
SUCCEEDED, FAILED = job_pb2.JOB_STATUS_SUCCEEDED, job_pb2.JOB_STATUS_FAILED
LEASE = Duration(seconds=30)
INVALID_STATE = (Kind.CONFLICT, "INVALID_STATE")


def new_job(make: Requests, **fields: Any) -> messages.NewJob:
    return messages.NewJob(**{"id": make.new_id(), "name": "send-email", "payload": b"p", **fields})


def enqueue(tier: RunningTier, *jobs: messages.NewJob) -> list[messages.EnqueuedJob]:
    return list(tier.jobs.EnqueueJobs(messages.EnqueueJobsRequest(jobs=jobs)).jobs)


def get(tier: RunningTier, job_id: str) -> job_pb2.Job:
    return tier.jobs.GetJob(messages.GetJobRequest(job_id=job_id)).job


def start(make: Requests, job_id: str) -> messages.StartJobRequest:
    return messages.StartJobRequest(job_id=job_id, lease_id=make.new_id(), lease_duration=LEASE)


def started(tier: RunningTier, make: Requests, **fields: Any) -> tuple[str, str]:
    """Enqueue and begin a job, and return its id and the lease's."""
    (job,) = enqueue(tier, new_job(make, **fields))
    request = start(make, job.id)
    tier.jobs.StartJob(request)
    return job.id, request.lease_id


def fail(job_id: str, lease_id: str, **fields: Any) -> messages.FailJobRequest:
    error = job_pb2.JobError(code="SERVICE_UNAVAILABLE", message="Not now.")
    return messages.FailJobRequest(job_id=job_id, lease_id=lease_id, error=error, **fields)


def test_a_job_is_there_as_it_was_enqueued(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    (enqueued,) = enqueue(tier, new_job(make))
    now = timestamp_from(clock.now())
    expected = job_pb2.Job(
        id=enqueued.id,
        name="send-email",
        status=QUEUED,
        created_time=now,
        due_time=now,
        version=1,
    )
    assert enqueued.created
    assert enqueued.job == get(tier, enqueued.id) == expected


def test_one_unique_key_has_one_job(tier: RunningTier, make: Requests) -> None:
    wanted = [new_job(make, unique_key="event:1"), new_job(make), new_job(make, unique_key="k2")]
    first = enqueue(tier, *wanted)
    assert [job.created for job in first] == [True, True, True]
    again = enqueue(tier, new_job(make, unique_key="event:1"), wanted[1], new_job(make))
    assert [job.created for job in again] == [False, False, True]
    assert [job.id for job in again[:2]] == [wanted[0].id, wanted[1].id]
    twins = enqueue(tier, *(new_job(make, unique_key="twin") for _ in range(2)))
    assert [job.created for job in twins] == [True, False]
    assert twins[0].id == twins[1].id


def test_of_many_who_enqueue_one_key_at_once_one_makes_the_job(
    tier: RunningTier, make: Requests
) -> None:
    jobs = [new_job(make, unique_key="tick") for _ in range(8)]
    answers = all_at_once(8, lambda number: enqueue(tier, jobs[number])[0])
    found = [answer for answer in answers if not isinstance(answer, AppError)]
    assert len(found) == 8
    assert len({job.id for job in found}) == 1
    assert sum(job.created for job in found) == 1


def test_an_idempotency_key_replays_the_first_answer(tier: RunningTier, make: Requests) -> None:
    key = idempotency_pb2.IdempotencyKey(scope="s", key="k", fingerprint=b"f" * 32)
    request = messages.EnqueueJobsRequest(jobs=[new_job(make)], idempotency_key=key)
    first = tier.jobs.EnqueueJobs(request)
    tier.jobs.StartJob(start(make, first.jobs[0].id))
    request.jobs[0].id = make.new_id()
    again = tier.jobs.EnqueueJobs(request)
    assert again.replayed
    assert list(again.jobs) == list(first.jobs)
    request.idempotency_key.fingerprint = b"g" * 32
    assert failure(tier.jobs.EnqueueJobs, request) == (Kind.INVALID, "IDEMPOTENCY_KEY_REUSED")


def test_pages_and_cursors_walk_all_jobs(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    ids = []
    for number in range(7):
        clock.advance(number % 2)
        ids += [job.id for job in enqueue(tier, new_job(make, name=f"n{number % 2}"))]
    started(tier, make, name="n0")
    request = messages.ListJobsRequest(page=PageRequest(page_size=3))
    first = tier.jobs.ListJobs(request)
    assert (first.page.total, [job.id for job in first.jobs]) == (8, ids[:3])
    request.page.cursor = first.page.next_cursor
    assert [job.id for job in tier.jobs.ListJobs(request).jobs] == ids[3:6]
    newest = messages.ListJobsRequest(page=PageRequest(page_size=1, descending=True))
    assert tier.jobs.ListJobs(newest).jobs[0].status == RUNNING
    named = messages.ListJobsRequest(filter=messages.JobFilter(name="n1"))
    assert [job.id for job in tier.jobs.ListJobs(named).jobs] == ids[1::2]
    both = messages.ListJobsRequest(filter=messages.JobFilter(name="n0", status=QUEUED))
    assert [job.id for job in tier.jobs.ListJobs(both).jobs] == ids[::2]
    running = messages.ListJobsRequest(filter=messages.JobFilter(status=RUNNING))
    assert len(tier.jobs.ListJobs(running).jobs) == 1


def test_of_many_who_start_a_job_at_once_one_gets_it(tier: RunningTier, make: Requests) -> None:
    (job,) = enqueue(tier, new_job(make, payload=b"what"))
    answers = all_at_once(8, lambda _number: tier.jobs.StartJob(start(make, job.id)))
    got = [answer for answer in answers if not isinstance(answer, AppError)]
    assert [(answer.payload, answer.job.attempts) for answer in got] == [(b"what", 1)]
    refused = [answer for answer in answers if isinstance(answer, AppError)]
    assert {(error.kind, error.code, error.metadata["status"]) for error in refused} == {
        (*INVALID_STATE, "running")
    }


def test_a_job_that_is_not_due_is_not_begun(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    due = timestamp_from(clock.now() + timedelta(seconds=10))
    (job,) = enqueue(tier, new_job(make, due_time=due))
    assert failure(tier.jobs.StartJob, start(make, job.id)) == INVALID_STATE
    clock.advance(10)
    assert tier.jobs.StartJob(start(make, job.id)).job.status == RUNNING


def test_progress_and_the_place_to_go_on_are_kept_for_the_next_attempt(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    job_id, lease_id = started(tier, make)
    report = messages.ReportJobProgressRequest(
        job_id=job_id,
        lease_id=lease_id,
        progress=job_pb2.JobProgress(done=3),
        checkpoint=b"here",
        lease_duration=LEASE,
    )
    assert not tier.jobs.ReportJobProgress(report).job.progress.HasField("total")
    report.progress.total = 9
    assert tier.jobs.ReportJobProgress(report).job.progress == report.progress
    tier.jobs.FailJob(fail(job_id, lease_id))
    assert failure(tier.jobs.ReportJobProgress, report) == INVALID_STATE
    clock.advance(60)
    again = tier.jobs.StartJob(start(make, job_id))
    assert (again.checkpoint, again.job.attempts, again.job.progress.done) == (b"here", 2, 3)


def test_a_job_that_has_ended_well_says_what_came_out(tier: RunningTier, make: Requests) -> None:
    job_id, lease_id = started(tier, make)
    request = messages.FinishJobRequest(job_id=job_id, lease_id=lease_id, result={"mails": "7"})
    done = tier.jobs.FinishJob(request).job
    assert (done.status, dict(done.result), done.HasField("error")) == (
        SUCCEEDED,
        {"mails": "7"},
        False,
    )
    assert done.HasField("finished_time")
    assert tier.jobs.FinishJob(request).job == done
    request.lease_id = make.new_id()
    assert failure(tier.jobs.FinishJob, request) == INVALID_STATE
    assert failure(tier.jobs.FailJob, fail(job_id, lease_id)) == INVALID_STATE


def test_pauses_double_and_the_last_attempt_gives_the_job_up(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    (job,) = enqueue(tier, new_job(make, max_attempts=3))
    for attempt, longest in ((1, 2), (2, 4)):
        request = start(make, job.id)
        tier.jobs.StartJob(request)
        failed = fail(job.id, request.lease_id)
        after = tier.jobs.FailJob(failed).job
        due = datetime_from(after.due_time)
        assert due is not None
        assert (after.status, after.attempts) == (QUEUED, attempt)
        assert longest / 2 <= (due - clock.now()).total_seconds() <= longest
        assert tier.jobs.FailJob(failed).job == after
        clock.advance(longest)
    request = start(make, job.id)
    tier.jobs.StartJob(request)
    dead = tier.jobs.FailJob(fail(job.id, request.lease_id)).job
    assert (dead.status, dead.attempts, dead.error.code) == (FAILED, 3, "SERVICE_UNAVAILABLE")
    assert failure(tier.jobs.StartJob, start(make, job.id)) == INVALID_STATE


def test_a_permanent_failure_is_the_last(tier: RunningTier, make: Requests) -> None:
    job_id, lease_id = started(tier, make)
    assert tier.jobs.FailJob(fail(job_id, lease_id, permanent=True)).job.status == FAILED


def test_a_job_that_was_given_up_has_all_its_attempts_again(
    tier: RunningTier, make: Requests
) -> None:
    job_id, lease_id = started(tier, make, max_attempts=1)
    retry = messages.RetryJobRequest(job_id=job_id)
    assert failure(tier.jobs.RetryJob, retry) == INVALID_STATE
    tier.jobs.FailJob(fail(job_id, lease_id))
    queued = tier.jobs.RetryJob(retry).job
    assert (queued.status, queued.attempts, queued.HasField("finished_time")) == (QUEUED, 1, False)
    # Why it was given up is told until it has ended well.
    assert queued.error.code == "SERVICE_UNAVAILABLE"
    again = start(make, job_id)
    assert tier.jobs.StartJob(again).job.attempts == 2
    assert tier.jobs.FailJob(fail(job_id, again.lease_id)).job.status == FAILED


def test_a_job_that_is_not_there_is_missing(tier: RunningTier, make: Requests) -> None:
    missing = (Kind.MISSING, "JOB_NOT_FOUND")
    job_id, lease_id = make.new_id(), make.new_id()
    progress = job_pb2.JobProgress()
    report = messages.ReportJobProgressRequest(
        job_id=job_id, lease_id=lease_id, progress=progress, lease_duration=LEASE
    )
    finish = messages.FinishJobRequest(job_id=job_id, lease_id=lease_id)
    assert failure(tier.jobs.GetJob, messages.GetJobRequest(job_id=job_id)) == missing
    assert failure(tier.jobs.StartJob, start(make, job_id)) == missing
    assert failure(tier.jobs.ReportJobProgress, report) == missing
    assert failure(tier.jobs.FinishJob, finish) == missing
    assert failure(tier.jobs.FailJob, fail(job_id, lease_id)) == missing
    assert failure(tier.jobs.RetryJob, messages.RetryJobRequest(job_id=job_id)) == missing


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"id": "7"}, "jobs[0].id"),
        ({"name": "naïve"}, "jobs[0].name"),
        ({"payload": b"p" * (1024 * 1024 + 1)}, "jobs[0].payload"),
        ({"unique_key": "a b"}, "jobs[0].unique_key"),
        ({"unique_key": "k" * 256}, "jobs[0].unique_key"),
        ({"max_attempts": 101}, "jobs[0].max_attempts"),
    ],
    ids=["id", "name", "payload", "space in its key", "long key", "attempts"],
)
def test_a_bad_job_is_refused(
    tier: RunningTier, make: Requests, fields: dict[str, Any], fault: str
) -> None:
    request = messages.EnqueueJobsRequest(jobs=[new_job(make, **fields)])
    assert bad_fields(tier.jobs.EnqueueJobs, request) == {fault}


def test_bad_reports_are_refused(tier: RunningTier, make: Requests) -> None:
    job_id, lease_id = started(tier, make)
    many = messages.EnqueueJobsRequest(jobs=[messages.NewJob()] * 1001)
    assert bad_fields(tier.jobs.EnqueueJobs, many) == {"jobs"}
    report = messages.ReportJobProgressRequest(
        job_id=job_id,
        lease_id=lease_id,
        progress=job_pb2.JobProgress(done=3, total=2),
        checkpoint=b"c" * 8193,
        lease_duration=Duration(seconds=3601),
    )
    faults = {"progress.done", "checkpoint", "lease_duration"}
    assert bad_fields(tier.jobs.ReportJobProgress, report) == faults
    # Longer than a timedelta can be.
    report.lease_duration.seconds = 2**62
    assert bad_fields(tier.jobs.ReportJobProgress, report) == faults
    finish = messages.FinishJobRequest(job_id=job_id, lease_id=lease_id, result={"a": "b" * 1001})
    assert bad_fields(tier.jobs.FinishJob, finish) == {"result.a"}
    finish = messages.FinishJobRequest(
        job_id=job_id, lease_id=lease_id, result={str(number): "" for number in range(33)}
    )
    assert bad_fields(tier.jobs.FinishJob, finish) == {"result"}
    failing = fail(job_id, lease_id)
    failing.error.message = "m" * 1001
    failing.error.code = ""
    assert bad_fields(tier.jobs.FailJob, failing) == {"error.message", "error.code"}
    wanted = messages.ListJobsRequest(filter=messages.JobFilter(name="ü"))
    assert bad_fields(tier.jobs.ListJobs, wanted) == {"filter.name"}
