"""Jobs, and what is asked about them; see `conversion.products` on how messages cross."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from arcana.repository.v1 import job_pb2 as kept_job_pb2
from arcana.repository.v1 import job_repository_pb2
from arcana.service.v1 import job_pb2, job_service_pb2
from service_tier.domain.bulk_mails import BulkMail
from service_tier.domain.jobs import JobName
from tier_runtime.validation import invalid


def job_to_proto(job: kept_job_pb2.Job) -> job_pb2.Job:
    """Return a job as this tier's contract has it."""
    return job_pb2.Job.FromString(job.SerializeToString())


def enqueued_to_proto(enqueued: job_repository_pb2.EnqueueJobsResponse) -> job_pb2.Job:
    """Return the one job that was enqueued."""
    return job_to_proto(enqueued.jobs[0].job)


def new_job(
    job_id: str, name: JobName, payload: Mapping[str, Any], *, unique_key: str = ""
) -> job_repository_pb2.NewJob:
    """Return a job that is to be enqueued, with what it holds as JSON."""
    return job_repository_pb2.NewJob(
        id=job_id,
        name=name,
        # Not escaped, which would make some characters three times as long.
        payload=json.dumps(payload, sort_keys=True, ensure_ascii=False).encode(),
        unique_key=unique_key,
    )


def filter_from_proto(job_filter: job_service_pb2.JobFilter) -> job_repository_pb2.JobFilter:
    """Return a filter as the repository tier has it.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, when its status is a number that is none.
    """
    if job_filter.status not in job_pb2.JobStatus.values():
        raise invalid({"status": ["Not a status."]})
    return job_repository_pb2.JobFilter.FromString(job_filter.SerializeToString())


def bulk_mail_from_proto(request: job_service_pb2.EnqueueBulkEmailRequest) -> BulkMail:
    """Return the mail to many users that is asked for."""
    recipients = list(request.recipients.ids) if request.HasField("recipients") else None
    return BulkMail(recipients, request.template, request.subject, dict(request.context))
