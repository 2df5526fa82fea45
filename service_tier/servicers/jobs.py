"""JobService over its use cases."""

from __future__ import annotations

import grpc

from arcana.service.v1 import job_service_pb2 as pb
from arcana.service.v1 import job_service_pb2_grpc
from service_tier.conversion.jobs import (
    bulk_mail_from_proto,
    enqueued_to_proto,
    filter_from_proto,
    job_to_proto,
)
from service_tier.conversion.moments import required_moment
from service_tier.conversion.paging import page_from_request
from service_tier.domain.jobs import JobName
from service_tier.idempotency import IdempotencyKeys
from service_tier.jobs.running import JobRunner
from service_tier.usecases.jobs import Jobs
from tier_runtime.context import rpc_context
from tier_runtime.validation import require
from tier_runtime.wire import serialized_as


class JobServicer(job_service_pb2_grpc.JobServiceServicer):
    """Jobs."""

    def __init__(self, jobs: Jobs, runner: JobRunner, idempotency: IdempotencyKeys) -> None:
        self._jobs = jobs
        self._runner = runner
        self._idempotency = idempotency

    def EnqueueBulkEmail(
        self, request: pb.EnqueueBulkEmailRequest, context: grpc.ServicerContext
    ) -> pb.EnqueueBulkEmailResponse:
        """Enqueue a mail to many users."""
        require(request, "subject", "template")
        call = rpc_context(context).call
        key = self._idempotency.key_for(call.actor, "EnqueueBulkEmail", request.request_id, request)
        enqueued = self._jobs.enqueue_bulk_email(call, bulk_mail_from_proto(request), key)
        return pb.EnqueueBulkEmailResponse(
            job=enqueued_to_proto(enqueued), replayed=enqueued.replayed
        )

    def EnqueueUserSync(
        self, request: pb.EnqueueUserSyncRequest, context: grpc.ServicerContext
    ) -> pb.EnqueueUserSyncResponse:
        """Enqueue the pushing of waiting users."""
        call = rpc_context(context).call
        key = self._idempotency.key_for(call.actor, "EnqueueUserSync", request.request_id, request)
        enqueued = self._jobs.enqueue(call, JobName.SYNC_USERS, key)
        return pb.EnqueueUserSyncResponse(
            job=enqueued_to_proto(enqueued), replayed=enqueued.replayed
        )

    def EnqueueTokenCleanup(
        self, request: pb.EnqueueTokenCleanupRequest, context: grpc.ServicerContext
    ) -> pb.EnqueueTokenCleanupResponse:
        """Enqueue the removal of what is over."""
        call = rpc_context(context).call
        key = self._idempotency.key_for(
            call.actor, "EnqueueTokenCleanup", request.request_id, request
        )
        enqueued = self._jobs.enqueue(call, JobName.CLEANUP_TOKENS, key)
        return pb.EnqueueTokenCleanupResponse(
            job=enqueued_to_proto(enqueued), replayed=enqueued.replayed
        )

    def EnqueueDailyReport(
        self, request: pb.EnqueueDailyReportRequest, context: grpc.ServicerContext
    ) -> pb.EnqueueDailyReportResponse:
        """Enqueue the making of a day's report."""
        call = rpc_context(context).call
        key = self._idempotency.key_for(
            call.actor, "EnqueueDailyReport", request.request_id, request
        )
        enqueued = self._jobs.enqueue_daily_report(call, request.date, key)
        return pb.EnqueueDailyReportResponse(
            job=enqueued_to_proto(enqueued), replayed=enqueued.replayed
        )

    def GetJob(self, request: pb.GetJobRequest, context: grpc.ServicerContext) -> pb.GetJobResponse:
        """Read one job."""
        require(request, "job_id")
        answer = self._jobs.get(rpc_context(context).call, request.job_id)
        return serialized_as(pb.GetJobResponse, answer)

    def ListJobs(
        self, request: pb.ListJobsRequest, context: grpc.ServicerContext
    ) -> pb.ListJobsResponse:
        """List jobs page by page."""
        job_filter, page = filter_from_proto(request.filter), page_from_request(request.page)
        listed = self._jobs.list(rpc_context(context).call, job_filter, page)
        return serialized_as(pb.ListJobsResponse, listed)

    def RetryJob(
        self, request: pb.RetryJobRequest, context: grpc.ServicerContext
    ) -> pb.RetryJobResponse:
        """Queue a job that was given up once more."""
        require(request, "job_id")
        job = self._jobs.retry(rpc_context(context).call, request.job_id)
        return pb.RetryJobResponse(job=job_to_proto(job))

    def GetDailyReport(
        self, request: pb.GetDailyReportRequest, context: grpc.ServicerContext
    ) -> pb.GetDailyReportResponse:
        """Read the report of a day."""
        require(request, "date")
        answer = self._jobs.daily_report(rpc_context(context).call, request.date)
        return serialized_as(pb.GetDailyReportResponse, answer)

    def RunJob(self, request: pb.RunJobRequest, context: grpc.ServicerContext) -> pb.RunJobResponse:
        """Work on a job, for the worker."""
        require(request, "job_id")
        outcome = self._runner.run(rpc_context(context).call, request.job_id)
        return pb.RunJobResponse(outcome=outcome)

    def ScheduleJob(
        self, request: pb.ScheduleJobRequest, context: grpc.ServicerContext
    ) -> pb.ScheduleJobResponse:
        """Enqueue what is scheduled, for the worker."""
        require(request, "name", "scheduled_time")
        moment = required_moment("scheduled_time", request.scheduled_time)
        enqueued = self._jobs.schedule(rpc_context(context).call, request.name, moment)
        return pb.ScheduleJobResponse(job_id=enqueued.id, created=enqueued.created)
