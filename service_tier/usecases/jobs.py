"""Jobs as admins see them: enqueued, read, and queued once more; and those of the schedule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import idempotency_pb2, job_pb2, job_repository_pb2
from service_tier.conversion.jobs import new_job
from service_tier.domain.bulk_mails import BulkMail
from service_tier.domain.faults import refuse_faults
from service_tier.domain.jobs import JobName, parsed_day, report_day, scheduled_name
from service_tier.domain.permissions import require_admin
from service_tier.repository import Repository
from tier_runtime.call import Call
from tier_runtime.clock import Clock
from tier_runtime.ids import IdSource
from tier_runtime.validation import invalid

Key = idempotency_pb2.IdempotencyKey


class Jobs:
    """Enqueues and reads jobs."""

    def __init__(self, repository: Repository, clock: Clock, ids: IdSource) -> None:
        self._repository = repository
        self._clock = clock
        self._ids = ids

    def enqueue_bulk_email(
        self, call: Call, mail: BulkMail, key: Key | None
    ) -> job_repository_pb2.EnqueueJobsResponse:
        """Enqueue a mail to many users.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        refuse_faults(mail.faults())
        payload = {
            "user_ids": None if mail.user_ids is None else sorted(set(mail.user_ids)),
            "template": mail.template,
            "facts": mail.facts(),
        }
        return self._enqueued(JobName.BULK_EMAIL, payload, key)

    def enqueue(
        self, call: Call, name: JobName, key: Key | None
    ) -> job_repository_pb2.EnqueueJobsResponse:
        """Enqueue a job that needs nothing to be said about it.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        return self._enqueued(name, {}, key)

    def enqueue_daily_report(
        self, call: Call, date: str, key: Key | None
    ) -> job_repository_pb2.EnqueueJobsResponse:
        """Enqueue the making of a day's report.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        day = report_day(date, self._clock.now())
        return self._enqueued(JobName.DAILY_REPORT, {"date": day.isoformat()}, key)

    def schedule(self, call: Call, name: str, moment: datetime) -> job_repository_pb2.EnqueuedJob:
        """Enqueue what the schedule has at a moment, once.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        known = scheduled_name(name)
        if moment > self._clock.now():
            # Made by a clock that is fast, it would be there already when its time comes.
            raise invalid({"scheduled_time": ["Must not be in the future."]})
        payload = {}
        if known is JobName.DAILY_REPORT:
            payload["date"] = report_day("", moment).isoformat()
        # Of several schedulers that ask at the same moment the database lets one make it.
        unique_key = f"schedule:{known}:{moment.isoformat()}"
        job = new_job(self._ids.new_id(), known, payload, unique_key=unique_key)
        request = job_repository_pb2.EnqueueJobsRequest(jobs=[job])
        return self._repository.jobs.EnqueueJobs(request).jobs[0]

    def get(self, call: Call, job_id: str) -> bytes:
        """Return one job, as the serialized answer of GetJob.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        return self._repository.job_reads.get(job_id)

    def list(
        self,
        call: Call,
        job_filter: job_repository_pb2.JobFilter,
        page: paging_pb2.PageRequest,
    ) -> bytes:
        """Return one page of jobs, as the serialized answer of ListJobs.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        request = job_repository_pb2.ListJobsRequest(filter=job_filter, page=page)
        return self._repository.job_reads.list(request)

    def daily_report(self, call: Call, date: str) -> bytes:
        """Return the report of a day, as the serialized answer of GetDailyReport.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        return self._repository.job_reads.daily_report(parsed_day(date).isoformat())

    def retry(self, call: Call, job_id: str) -> job_pb2.Job:
        """Queue a job that was given up once more.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        request = job_repository_pb2.RetryJobRequest(job_id=job_id)
        return self._repository.jobs.RetryJob(request).job

    def _enqueued(
        self, name: JobName, payload: Mapping[str, Any], key: Key | None
    ) -> job_repository_pb2.EnqueueJobsResponse:
        job = new_job(self._ids.new_id(), name, payload)
        return self._repository.jobs.EnqueueJobs(
            job_repository_pb2.EnqueueJobsRequest(jobs=[job], idempotency_key=key)
        )
