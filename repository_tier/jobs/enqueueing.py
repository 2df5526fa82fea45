"""Jobs as they are enqueued: in a transaction of their own, or in that of what causes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from arcana.repository.v1 import job_repository_pb2
from arcana.repository.v1.job_repository_pb2 import EnqueuedJob, EnqueueJobsResponse
from repository_tier.database import Database
from repository_tier.field_checks import FieldChecks
from repository_tier.idempotency import OnceKey, once
from repository_tier.jobs.rows import QUEUED, read_job
from repository_tier.tables import jobs
from repository_tier.upserts import insert_all_new
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline

MAX_JOBS = 1000
MAX_PAYLOAD_BYTES = 1024 * 1024
MAX_ATTEMPTS = 100
DEFAULT_MAX_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that has been checked; without a due time it is due at once."""

    id: str
    name: str
    payload: bytes
    unique_key: str
    due_time: datetime | None
    max_attempts: int
    traceparent: str


def jobs_from_proto(
    messages: Sequence[job_repository_pb2.NewJob], traceparent: str = ""
) -> list[NewJob]:
    """Check jobs and return them as they are stored, in that trace unless they name their own.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks()
    if len(messages) > MAX_JOBS:
        checks.fault("jobs", f"More than {MAX_JOBS}.")
        checks.done()
    found = [_job_from_proto(checks, f"jobs[{n}].", job) for n, job in enumerate(messages)]
    checks.done()
    return [job if job.traceparent else replace(job, traceparent=traceparent) for job in found]


def append_jobs(
    connection: Connection, wanted: Sequence[NewJob], now: datetime
) -> list[EnqueuedJob]:
    """Write jobs, and leave those that are there already, by id or unique key, as they are."""
    there = _standing(connection, wanted)
    missing = {job.id: job for job in wanted if job.id not in there and job.unique_key not in there}
    if missing:
        # In one order for all, so that two who have the same jobs do not wait crosswise.
        ordered = sorted(missing.values(), key=lambda job: (job.unique_key, job.id))
        insert_all_new(connection, jobs, [_row(job, now) for job in ordered], key="id")
        # Who has inserted the same key meanwhile was waited for, and is found now.
        there = _standing(connection, wanted)
    standing = [there.get(job.unique_key) or job.id for job in wanted]
    return [
        EnqueuedJob(id=job_id, created=job_id == job.id and job.id in missing)
        for job, job_id in zip(wanted, standing, strict=True)
    ]


class Enqueueing:
    """Takes jobs that come by themselves. `tell` is called after each commit with new ones."""

    def __init__(self, database: Database, clock: Clock, tell: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._tell = tell

    def enqueue(
        self, wanted: Sequence[NewJob], key: OnceKey | None, deadline: Deadline
    ) -> EnqueueJobsResponse:
        """Enqueue all jobs in one transaction, and say for each which one stands for it.

        Raises:
            AppError: what `once` raises.
        """
        now = self._clock.now()

        def work(connection: Connection) -> EnqueueJobsResponse:
            def make() -> EnqueueJobsResponse:
                answer = EnqueueJobsResponse(jobs=append_jobs(connection, wanted, now))
                if len(wanted) == 1:
                    answer.jobs[0].job.CopyFrom(read_job(connection, answer.jobs[0].id))
                return answer

            return once(connection, key, now, make, EnqueueJobsResponse)

        answer = self._database.write(deadline, work)
        self._tell()
        return answer


def _job_from_proto(checks: FieldChecks, prefix: str, message: job_repository_pb2.NewJob) -> NewJob:
    if len(message.payload) > MAX_PAYLOAD_BYTES:
        checks.fault(f"{prefix}payload", f"More than {MAX_PAYLOAD_BYTES} bytes.")
    unique_key = message.unique_key
    if unique_key:
        checks.word(f"{prefix}unique_key", unique_key, 255)
        # MySQL compares text without its trailing spaces.
        if " " in unique_key:
            checks.fault(f"{prefix}unique_key", "Must not hold a space.")
    return NewJob(
        id=checks.new_id(f"{prefix}id", message.id),
        name=checks.word(f"{prefix}name", message.name, 64),
        payload=message.payload,
        unique_key=unique_key,
        due_time=checks.moment(f"{prefix}due_time", message.due_time),
        max_attempts=checks.between(
            f"{prefix}max_attempts", message.max_attempts or DEFAULT_MAX_ATTEMPTS, 1, MAX_ATTEMPTS
        ),
        traceparent=checks.traceparent(f"{prefix}traceparent", message.traceparent),
    )


def _row(job: NewJob, now: datetime) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "unique_key": job.unique_key or None,
        "status": QUEUED,
        "payload": job.payload,
        "checkpoint": b"",
        "attempts": 0,
        "max_attempts": job.max_attempts,
        "last_attempt": job.max_attempts,
        "result": b"{}",
        "due_time": job.due_time or now,
        "version": 1,
        "created_time": now,
        "traceparent": job.traceparent or None,
    }


def _standing(connection: Connection, wanted: Sequence[NewJob]) -> dict[str, str]:
    """Return the ids of the jobs that are there, by id and by unique key.

    No key is looked up that is empty, so none is found under the empty text.
    """
    by_id = select(jobs.c.id).where(jobs.c.id.in_([job.id for job in wanted]))
    found = {job_id: job_id for job_id in connection.scalars(by_id)}
    keys = [job.unique_key for job in wanted if job.unique_key]
    if keys:
        by_key = select(jobs.c.unique_key, jobs.c.id).where(jobs.c.unique_key.in_(keys))
        found |= {row.unique_key: row.id for row in connection.execute(by_key)}
    return found
