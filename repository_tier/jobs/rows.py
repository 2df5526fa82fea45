"""Single jobs as they are in the database, and rows to messages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Connection, RowMapping, select

from arcana.repository.v1 import job_pb2
from repository_tier.tables import jobs
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import timestamp_from

QUEUED = "queued"
RUNNING = "running"
SUCCEEDED = "succeeded"
FAILED = "failed"
JOB_STATUS_WORDS: Mapping[int, str] = MappingProxyType(
    {
        job_pb2.JOB_STATUS_QUEUED: QUEUED,
        job_pb2.JOB_STATUS_RUNNING: RUNNING,
        job_pb2.JOB_STATUS_SUCCEEDED: SUCCEEDED,
        job_pb2.JOB_STATUS_FAILED: FAILED,
    }
)
_STATUSES: Mapping[str, job_pb2.JobStatus.ValueType] = MappingProxyType(
    {word: job_pb2.JobStatus.ValueType(number) for number, word in JOB_STATUS_WORDS.items()}
)
# Without what only the one who works on it needs, some of which may be large.
JOB_COLUMNS = tuple(
    column for column in jobs.columns if column.name not in {"payload", "checkpoint", "traceparent"}
)


def job_from_row(row: RowMapping) -> job_pb2.Job:
    """Return the job in a row of `JOB_COLUMNS`."""
    return job_pb2.Job(
        id=row["id"],
        name=row["name"],
        status=_STATUSES[row["status"]],
        progress=_progress(row),
        attempts=row["attempts"],
        error=_error(row),
        result=orjson.loads(row["result"]),
        created_time=timestamp_from(row["created_time"]),
        due_time=timestamp_from(row["due_time"]),
        started_time=_moment(row, "started_time"),
        finished_time=_moment(row, "finished_time"),
        version=row["version"],
    )


def read_job(connection: Connection, job_id: str) -> job_pb2.Job:
    """Return a job.

    Raises:
        AppError: MISSING/JOB_NOT_FOUND.
    """
    row = connection.execute(select(*JOB_COLUMNS).where(jobs.c.id == job_id)).mappings().first()
    if row is None:
        raise job_not_found()
    return job_from_row(row)


def job_not_found() -> AppError:
    """Return the error of a job that is not there."""
    return AppError(Kind.MISSING, "JOB_NOT_FOUND", "There is no such job.")


def _progress(row: RowMapping) -> job_pb2.JobProgress | None:
    if row["progress_done"] is None:
        return None
    return job_pb2.JobProgress(done=row["progress_done"], total=row["progress_total"])


def _error(row: RowMapping) -> job_pb2.JobError | None:
    if row["error_code"] is None:
        return None
    return job_pb2.JobError(code=row["error_code"], message=row["error_message"])


def _moment(row: RowMapping, column: str) -> Timestamp | None:
    moment: Any = row[column]
    return None if moment is None else timestamp_from(moment)
