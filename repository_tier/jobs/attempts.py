"""Attempts at a job: begun under a lease, reported, and ended well or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import orjson
from sqlalchemy import Connection, RowMapping, Update, select, update

from arcana.repository.v1 import job_pb2
from repository_tier.backoff import pause_seconds
from repository_tier.database import Database
from repository_tier.jobs.rows import (
    FAILED,
    JOB_COLUMNS,
    QUEUED,
    RUNNING,
    SUCCEEDED,
    job_from_row,
    job_not_found,
    read_job,
)
from repository_tier.tables import jobs
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Lease:
    """Whose job it is, and for how long."""

    job_id: str
    id: str
    length: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Started:
    """A job that has begun, with what it is to be done with and where it is to go on."""

    job: job_pb2.Job
    payload: bytes
    checkpoint: bytes
    traceparent: str


@dataclass(frozen=True, slots=True)
class Report:
    """How far a job has come; `total` None is not known."""

    done: int
    total: int | None
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed; a permanent one is the last."""

    code: str
    message: str
    permanent: bool


class Attempts:
    """Writes what happens to jobs. `tell` is called after a commit that has made one due."""

    def __init__(
        self, database: Database, clock: Clock, random: Random, tell: Callable[[], None]
    ) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self._tell = tell

    def start(self, lease: Lease, deadline: Deadline) -> Started:
        """Begin a job that is queued and due.

        Raises:
            AppError: MISSING/JOB_NOT_FOUND; CONFLICT/INVALID_STATE.
        """
        now = self._clock.now()
        begun = (
            update(jobs)
            .where(jobs.c.id == lease.job_id, jobs.c.status == QUEUED, jobs.c.due_time <= now)
            .values(
                status=RUNNING,
                attempts=jobs.c.attempts + 1,
                lease_id=lease.id,
                lease_expire_time=now + lease.length,
                started_time=now,
                version=jobs.c.version + 1,
            )
        )

        def work(connection: Connection) -> Started:
            # Of two who have the same id from the broker one matches the row.
            if connection.execute(begun).rowcount == 0:
                raise _invalid_state(read_job(connection, lease.job_id))
            row = connection.execute(select(jobs).where(jobs.c.id == lease.job_id)).mappings().one()
            return Started(
                job_from_row(row), row["payload"], row["checkpoint"], row["traceparent"] or ""
            )

        return self._database.write(deadline, work)

    def report(self, lease: Lease, report: Report, deadline: Deadline) -> job_pb2.Job:
        """Note how far a job has come, and renew its lease.

        Raises:
            AppError: MISSING/JOB_NOT_FOUND; CONFLICT/INVALID_STATE.
        """
        values = {
            "progress_done": report.done,
            "progress_total": report.total,
            "checkpoint": report.checkpoint,
            "lease_expire_time": self._clock.now() + lease.length,
        }

        def work(connection: Connection) -> job_pb2.Job:
            _require_lease(connection, lease)
            return _changed(connection, lease.job_id, values)

        return self._database.write(deadline, work)

    def finish(self, lease: Lease, result: Mapping[str, str], deadline: Deadline) -> job_pb2.Job:
        """End a job well, or return it as it is if this lease has ended it already.

        Raises:
            AppError: MISSING/JOB_NOT_FOUND; CONFLICT/INVALID_STATE.
        """
        values = {
            "status": SUCCEEDED,
            "result": orjson.dumps(dict(result), option=orjson.OPT_SORT_KEYS),
            "error_code": None,
            "error_message": None,
            "lease_expire_time": None,
            "finished_time": self._clock.now(),
        }

        def work(connection: Connection) -> job_pb2.Job:
            row = _locked(connection, lease.job_id)
            if row["lease_id"] == lease.id and row["status"] == SUCCEEDED:
                return job_from_row(row)
            _require_lease_of(row, lease)
            return _changed(connection, lease.job_id, values)

        return self._database.write(deadline, work)

    def fail(self, lease: Lease, failure: Failure, deadline: Deadline) -> job_pb2.Job:
        """End an attempt that failed: queue the job for another one, or give it up.

        Raises:
            AppError: MISSING/JOB_NOT_FOUND; CONFLICT/INVALID_STATE.
        """
        now = self._clock.now()

        def work(connection: Connection) -> job_pb2.Job:
            row = _locked(connection, lease.job_id)
            if row["lease_id"] == lease.id and row["status"] in {QUEUED, FAILED}:
                return job_from_row(row)
            _require_lease_of(row, lease)
            return _changed(
                connection, lease.job_id, after_failure(row, failure, now, self._random)
            )

        job = self._database.write(deadline, work)
        self._tell()
        return job

    def retry(self, job_id: str, deadline: Deadline) -> job_pb2.Job:
        """Queue a job that was given up, with all its attempts before it.

        Raises:
            AppError: MISSING/JOB_NOT_FOUND; CONFLICT/INVALID_STATE.
        """
        now = self._clock.now()

        def work(connection: Connection) -> job_pb2.Job:
            row = _locked(connection, job_id)
            if row["status"] != FAILED:
                raise _invalid_state(job_from_row(row))
            values = {
                "status": QUEUED,
                "last_attempt": row["attempts"] + row["max_attempts"],
                "lease_id": None,
                "published_time": None,
                "due_time": now,
                "finished_time": None,
            }
            return _changed(connection, job_id, values)

        job = self._database.write(deadline, work)
        self._tell()
        return job


def after_failure(
    row: RowMapping, failure: Failure, now: datetime, random: Random
) -> dict[str, Any]:
    """Return what becomes of a job whose attempt failed."""
    shared = {
        "error_code": failure.code,
        "error_message": failure.message,
        "lease_expire_time": None,
    }
    if failure.permanent or row["attempts"] >= row["last_attempt"]:
        return shared | {"status": FAILED, "finished_time": now}
    pause = pause_seconds(
        row["attempts"], FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, random.random()
    )
    due_time = now + timedelta(seconds=pause)
    return shared | {"status": QUEUED, "published_time": None, "due_time": due_time}


def changed_by(values: Mapping[str, Any]) -> Update:
    """Return the update that changes a job so; where is the caller's to say."""
    return update(jobs).values(version=jobs.c.version + 1, **values)


def _changed(connection: Connection, job_id: str, values: Mapping[str, Any]) -> job_pb2.Job:
    connection.execute(changed_by(values).where(jobs.c.id == job_id))
    return read_job(connection, job_id)


def _locked(connection: Connection, job_id: str) -> RowMapping:
    wanted = select(*JOB_COLUMNS).where(jobs.c.id == job_id).with_for_update()
    row = connection.execute(wanted).mappings().first()
    if row is None:
        raise job_not_found()
    return row


def _require_lease(connection: Connection, lease: Lease) -> None:
    _require_lease_of(_locked(connection, lease.job_id), lease)


def _require_lease_of(row: RowMapping, lease: Lease) -> None:
    """Do nothing while the job is this lease's.

    One that has run out counts until somebody has noticed: nobody else has begun the job.

    Raises:
        AppError: CONFLICT/INVALID_STATE.
    """
    if row["status"] != RUNNING or row["lease_id"] != lease.id:
        raise _invalid_state(job_from_row(row))


def _invalid_state(job: job_pb2.Job) -> AppError:
    status = job_pb2.JobStatus.Name(job.status).removeprefix("JOB_STATUS_").lower()
    return AppError(
        Kind.CONFLICT,
        "INVALID_STATE",
        f"The job is {status}, which does not allow this.",
        status=status,
    )
