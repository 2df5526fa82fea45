"""JobService in memory, without what does the work."""

from __future__ import annotations

from typing import Any

from arcana.service.v1 import job_service_pb2 as pb
from arcana.service.v1.job_pb2 import JOB_STATUS_FAILED, JOB_STATUS_QUEUED, Job
from tests.fakes.service.memory import FakeServiceTier, require_admin
from tests.fakes.service.pages import page_of
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import timestamp_from


class FakeJobs:
    def __init__(self, tier: FakeServiceTier) -> None:
        self._tier = tier

    def EnqueueBulkEmail(self, request: pb.EnqueueBulkEmailRequest) -> pb.EnqueueBulkEmailResponse:
        answer: pb.EnqueueBulkEmailResponse = self._enqueued(
            "EnqueueBulkEmail", "bulk-email", request, pb.EnqueueBulkEmailResponse
        )
        return answer

    def EnqueueUserSync(self, request: pb.EnqueueUserSyncRequest) -> pb.EnqueueUserSyncResponse:
        answer: pb.EnqueueUserSyncResponse = self._enqueued(
            "EnqueueUserSync", "sync-users", request, pb.EnqueueUserSyncResponse
        )
        return answer

    def EnqueueTokenCleanup(
        self, request: pb.EnqueueTokenCleanupRequest
    ) -> pb.EnqueueTokenCleanupResponse:
        answer: pb.EnqueueTokenCleanupResponse = self._enqueued(
            "EnqueueTokenCleanup", "cleanup-tokens", request, pb.EnqueueTokenCleanupResponse
        )
        return answer

    def EnqueueDailyReport(
        self, request: pb.EnqueueDailyReportRequest
    ) -> pb.EnqueueDailyReportResponse:
        answer: pb.EnqueueDailyReportResponse = self._enqueued(
            "EnqueueDailyReport", "daily-report", request, pb.EnqueueDailyReportResponse
        )
        return answer

    def GetJob(self, request: pb.GetJobRequest) -> pb.GetJobResponse:
        require_admin(self._tier.enter("GetJob", request))
        return pb.GetJobResponse(job=self._job(request.job_id))

    def ListJobs(self, request: pb.ListJobsRequest) -> pb.ListJobsResponse:
        require_admin(self._tier.enter("ListJobs", request))
        wanted = request.filter
        found = [
            job
            for job in self._tier.jobs.values()
            if wanted.status in {0, job.status} and wanted.name in {"", job.name}
        ]
        found.sort(key=lambda job: job.id, reverse=request.page.descending)
        items, result = page_of(found, request.page)
        return pb.ListJobsResponse(jobs=items, page=result)

    def RetryJob(self, request: pb.RetryJobRequest) -> pb.RetryJobResponse:
        require_admin(self._tier.enter("RetryJob", request))
        job = self._job(request.job_id)
        if job.status != JOB_STATUS_FAILED:
            raise AppError(Kind.CONFLICT, "INVALID_STATE", "The job was not given up.")
        job.status = JOB_STATUS_QUEUED
        job.version += 1
        return pb.RetryJobResponse(job=job)

    def GetDailyReport(self, request: pb.GetDailyReportRequest) -> pb.GetDailyReportResponse:
        require_admin(self._tier.enter("GetDailyReport", request))
        report = self._tier.reports.get(request.date)
        if report is None:
            raise AppError(Kind.MISSING, "NOT_FOUND", "There is no report of that day.")
        return pb.GetDailyReportResponse(report=report)

    def _enqueued(self, method: str, name: str, request: Any, answer_type: Any) -> Any:
        require_admin(self._tier.enter(method, request))

        def make() -> Any:
            now = timestamp_from(self._tier.clock.now())
            job = Job(
                id=self._tier.new_id(),
                name=name,
                status=JOB_STATUS_QUEUED,
                created_time=now,
                due_time=now,
                version=1,
            )
            self._tier.jobs[job.id] = job
            return answer_type(job=job)

        return self._tier.once(method, request, make)

    def _job(self, job_id: str) -> Job:
        job = self._tier.jobs.get(job_id)
        if job is None:
            raise AppError(Kind.MISSING, "JOB_NOT_FOUND", "There is no such job.")
        return job
