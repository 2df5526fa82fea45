"""JobRepository: jobs and the attempts at them."""

from __future__ import annotations

from grpc import ServicerContext

from arcana.repository.v1 import job_repository_pb2 as messages
from arcana.repository.v1.job_repository_pb2_grpc import JobRepositoryServicer
from repository_tier.jobs.attempts import Attempts
from repository_tier.jobs.enqueueing import Enqueueing, jobs_from_proto
from repository_tier.jobs.lists import JobLists, filter_from_proto
from repository_tier.paging import page_from_proto
from repository_tier.servicers import job_requests as requests
from repository_tier.servicers.once_keys import once_key_of
from repository_tier.servicers.user_requests import known_id
from tier_runtime.context import rpc_context
from tier_runtime.validation import require


class JobServicer(JobRepositoryServicer):
    """Each method checks presence, converts in, makes one call, and converts out."""

    def __init__(self, enqueueing: Enqueueing, lists: JobLists, attempts: Attempts) -> None:
        self._enqueueing = enqueueing
        self._lists = lists
        self._attempts = attempts

    def EnqueueJobs(
        self, request: messages.EnqueueJobsRequest, context: ServicerContext
    ) -> messages.EnqueueJobsResponse:
        require(request, "jobs")
        key = once_key_of(request)
        call = rpc_context(context).call
        wanted = jobs_from_proto(request.jobs, call.traceparent)
        return self._enqueueing.enqueue(wanted, key, call.deadline)

    def GetJob(
        self, request: messages.GetJobRequest, context: ServicerContext
    ) -> messages.GetJobResponse:
        require(request, "job_id")
        job_id = known_id("job_id", request.job_id)
        return messages.GetJobResponse(job=self._lists.get(job_id, rpc_context(context).deadline))

    def ListJobs(
        self, request: messages.ListJobsRequest, context: ServicerContext
    ) -> messages.ListJobsResponse:
        wanted = filter_from_proto(request.filter)
        page = page_from_proto(request.page)
        found, place = self._lists.list(
            wanted, page, rpc_context(context).deadline, descending=request.page.descending
        )
        return messages.ListJobsResponse(jobs=found, page=place)

    def StartJob(
        self, request: messages.StartJobRequest, context: ServicerContext
    ) -> messages.StartJobResponse:
        require(request, "job_id", "lease_id", "lease_duration")
        lease = requests.new_lease_from_proto(request)
        started = self._attempts.start(lease, rpc_context(context).deadline)
        return messages.StartJobResponse(
            job=started.job,
            payload=started.payload,
            checkpoint=started.checkpoint,
            traceparent=started.traceparent,
        )

    def ReportJobProgress(
        self, request: messages.ReportJobProgressRequest, context: ServicerContext
    ) -> messages.ReportJobProgressResponse:
        require(request, "job_id", "lease_id", "progress", "lease_duration")
        lease, report = requests.report_from_proto(request)
        job = self._attempts.report(lease, report, rpc_context(context).deadline)
        return messages.ReportJobProgressResponse(job=job)

    def FinishJob(
        self, request: messages.FinishJobRequest, context: ServicerContext
    ) -> messages.FinishJobResponse:
        require(request, "job_id", "lease_id")
        lease, result = requests.result_from_proto(request)
        job = self._attempts.finish(lease, result, rpc_context(context).deadline)
        return messages.FinishJobResponse(job=job)

    def FailJob(
        self, request: messages.FailJobRequest, context: ServicerContext
    ) -> messages.FailJobResponse:
        require(request, "job_id", "lease_id", "error")
        lease, failure = requests.failure_from_proto(request)
        job = self._attempts.fail(lease, failure, rpc_context(context).deadline)
        return messages.FailJobResponse(job=job)

    def RetryJob(
        self, request: messages.RetryJobRequest, context: ServicerContext
    ) -> messages.RetryJobResponse:
        require(request, "job_id")
        job_id = known_id("job_id", request.job_id)
        return messages.RetryJobResponse(
            job=self._attempts.retry(job_id, rpc_context(context).deadline)
        )
