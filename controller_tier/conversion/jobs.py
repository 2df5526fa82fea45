"""Jobs to documents, and loaded fields to requests about them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from arcana.service.v1 import job_service_pb2 as pb
from arcana.service.v1.job_pb2 import (
    JOB_STATUS_FAILED,
    JOB_STATUS_QUEUED,
    JOB_STATUS_RUNNING,
    JOB_STATUS_SUCCEEDED,
    JOB_STATUS_UNSPECIFIED,
    Job,
    JobStatus,
)
from controller_tier.conversion.paging import page_request
from controller_tier.conversion.times import rfc3339
from controller_tier.operations import Fields

STATUSES: Mapping[str, JobStatus.ValueType] = MappingProxyType(
    {
        "queued": JOB_STATUS_QUEUED,
        "running": JOB_STATUS_RUNNING,
        "succeeded": JOB_STATUS_SUCCEEDED,
        "failed": JOB_STATUS_FAILED,
    }
)
_STATUS_NAMES = {number: name for name, number in STATUSES.items()}


def job_document(job: Job) -> dict[str, Any]:
    """Return a job as consumers see it."""
    return {
        "id": job.id,
        "name": job.name,
        "status": _STATUS_NAMES[job.status],
        "progress": _progress(job),
        "attempts": job.attempts,
        "error": {"code": job.error.code, "message": job.error.message}
        if job.HasField("error")
        else None,
        "result": dict(sorted(job.result.items())) if job.status == JOB_STATUS_SUCCEEDED else None,
        "created_at": rfc3339(job.created_time),
        "due_at": rfc3339(job.due_time),
        "started_at": rfc3339(job.started_time),
        "finished_at": rfc3339(job.finished_time),
    }


def _progress(job: Job) -> dict[str, int | None] | None:
    if not job.HasField("progress"):
        return None
    total = job.progress.total if job.progress.HasField("total") else None
    return {"done": job.progress.done, "total": total}


def list_jobs_request(query: Fields) -> pb.ListJobsRequest:
    """Return the request for one page of jobs."""
    status = query.get("status")
    return pb.ListJobsRequest(
        filter=pb.JobFilter(
            status=STATUSES[status] if status else JOB_STATUS_UNSPECIFIED,
            name=query.get("name", ""),
        ),
        page=page_request(query),
    )


def bulk_email_request(body: Fields, idempotency_key: str) -> pb.EnqueueBulkEmailRequest:
    """Return the request for a mail to many users."""
    user_ids = body.get("user_ids")
    return pb.EnqueueBulkEmailRequest(
        request_id=idempotency_key,
        recipients=None if user_ids is None else pb.UserIds(ids=user_ids),
        subject=body["subject"],
        template=body["template"],
        context=body["context"],
    )
