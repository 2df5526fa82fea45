"""Jobs: the rows below /jobs."""

from __future__ import annotations

from typing import Protocol

from flask import Response

from arcana.service.v1 import job_service_pb2 as pb
from arcana.service.v1.job_pb2 import Job
from controller_tier.conversion.jobs import bulk_email_request, job_document, list_jobs_request
from controller_tier.conversion.paging import page_document
from controller_tier.conversion.reports import report_document
from controller_tier.documents import (
    accepted_answer,
    conditional_answer,
    json_answer,
    replayed_answer,
)
from controller_tier.idempotency import idempotency_key
from controller_tier.operations import Fields
from controller_tier.stubs import JobStub


class _Enqueued(Protocol):
    """What the service tier answers to whoever enqueues a job."""

    @property
    def job(self) -> Job:
        """The job, as it was enqueued."""
        ...

    replayed: bool


class JobViews:
    """The views of jobs."""

    def __init__(self, jobs: JobStub) -> None:
        self._jobs = jobs

    def bulk_email(self, body: Fields) -> Response:
        """Mail many users."""
        request = bulk_email_request(body, idempotency_key())
        return _enqueued_answer(self._jobs.EnqueueBulkEmail(request))

    def sync_users(self) -> Response:
        """Push users that wait for it."""
        request = pb.EnqueueUserSyncRequest(request_id=idempotency_key())
        return _enqueued_answer(self._jobs.EnqueueUserSync(request))

    def cleanup_tokens(self) -> Response:
        """Remove tokens whose time is over."""
        request = pb.EnqueueTokenCleanupRequest(request_id=idempotency_key())
        return _enqueued_answer(self._jobs.EnqueueTokenCleanup(request))

    def daily_report(self, body: Fields) -> Response:
        """Make a day's report."""
        day = body.get("date")
        request = pb.EnqueueDailyReportRequest(
            request_id=idempotency_key(), date=day.isoformat() if day else ""
        )
        return _enqueued_answer(self._jobs.EnqueueDailyReport(request))

    def list_jobs(self, query: Fields) -> Response:
        """Show one page of jobs."""
        found = self._jobs.ListJobs(list_jobs_request(query))
        items = [job_document(job) for job in found.jobs]
        return json_answer(page_document(items, found.page, query))

    def get_job(self, job_id: str) -> Response:
        """Show a job."""
        found = self._jobs.GetJob(pb.GetJobRequest(job_id=job_id))
        return conditional_answer(job_document(found.job), found.job.version)

    def get_daily_report(self, date: str) -> Response:
        """Show the report of a day."""
        found = self._jobs.GetDailyReport(pb.GetDailyReportRequest(date=date))
        return json_answer(report_document(found.report))

    def retry_job(self, job_id: str) -> Response:
        """Queue a job that was given up once more."""
        job = self._jobs.RetryJob(pb.RetryJobRequest(job_id=job_id)).job
        return _accepted(job)


def _enqueued_answer(enqueued: _Enqueued) -> Response:
    return replayed_answer(_accepted(enqueued.job), replayed=enqueued.replayed)


def _accepted(job: Job) -> Response:
    return accepted_answer(job_document(job), job.version, f"/api/v1/jobs/{job.id}")
