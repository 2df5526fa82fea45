"""The job repository, but for what publishes: a test begins jobs itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import grpc

from arcana.repository.v1 import job_pb2, job_repository_pb2_grpc
from arcana.repository.v1 import job_repository_pb2 as pb
from tests.fakes.repository.listing import digest_of, page_of, time_key
from tests.fakes.repository.state import State, known_id
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import datetime_from, timestamp_from

PAUSE = timedelta(seconds=2)


@dataclass
class KeptJob:
    job: job_pb2.Job
    payload: bytes
    unique_key: str
    max_attempts: int
    last_attempt: int
    checkpoint: bytes = b""
    lease_id: str = ""


class FakeJobs(job_repository_pb2_grpc.JobRepositoryServicer):
    def __init__(self, state: State) -> None:
        self._state = state
        self.kept: dict[str, KeptJob] = {}
        self._ids_by_key: dict[str, str] = {}

    def by_name(self, name: str) -> list[KeptJob]:
        """Return the jobs of a name, in the order in which they were enqueued."""
        return [kept for kept in self.kept.values() if kept.job.name == name]

    def EnqueueJobs(
        self, request: pb.EnqueueJobsRequest, context: grpc.ServicerContext
    ) -> pb.EnqueueJobsResponse:
        def make() -> pb.EnqueueJobsResponse:
            answer = pb.EnqueueJobsResponse(jobs=[self._enqueued(job) for job in request.jobs])
            if len(answer.jobs) == 1:
                answer.jobs[0].job.CopyFrom(self._kept(answer.jobs[0].id).job)
            return answer

        with self._state.lock:
            return self._state.once(request, make)

    def GetJob(self, request: pb.GetJobRequest, context: grpc.ServicerContext) -> pb.GetJobResponse:
        with self._state.lock:
            return pb.GetJobResponse(job=self._kept(request.job_id).job)

    def ListJobs(
        self, request: pb.ListJobsRequest, context: grpc.ServicerContext
    ) -> pb.ListJobsResponse:
        wanted = request.filter
        with self._state.lock:
            found, place = page_of(
                (
                    kept.job
                    for kept in self.kept.values()
                    if wanted.status in {0, kept.job.status} and wanted.name in {"", kept.job.name}
                ),
                lambda job: (*time_key(job.created_time), job.id),
                request.page,
                digest_of(wanted, 0, request.page),
            )
            return pb.ListJobsResponse(jobs=found, page=place)

    def StartJob(
        self, request: pb.StartJobRequest, context: grpc.ServicerContext
    ) -> pb.StartJobResponse:
        with self._state.lock:
            kept = self._kept(request.job_id)
            due = datetime_from(kept.job.due_time)
            assert due is not None
            if kept.job.status != job_pb2.JOB_STATUS_QUEUED or due > self._state.clock.now():
                raise _invalid_state(kept)
            kept.job.status = job_pb2.JOB_STATUS_RUNNING
            kept.job.attempts += 1
            kept.job.started_time.CopyFrom(self._state.now())
            kept.lease_id = request.lease_id
            self._touch(kept)
            return pb.StartJobResponse(
                job=kept.job, payload=kept.payload, checkpoint=kept.checkpoint
            )

    def ReportJobProgress(
        self, request: pb.ReportJobProgressRequest, context: grpc.ServicerContext
    ) -> pb.ReportJobProgressResponse:
        with self._state.lock:
            kept = self._leased(request.job_id, request.lease_id)
            kept.job.progress.CopyFrom(request.progress)
            kept.checkpoint = request.checkpoint
            self._touch(kept)
            return pb.ReportJobProgressResponse(job=kept.job)

    def FinishJob(
        self, request: pb.FinishJobRequest, context: grpc.ServicerContext
    ) -> pb.FinishJobResponse:
        with self._state.lock:
            kept = self._kept(request.job_id)
            is_repeated = kept.lease_id == request.lease_id
            if not (is_repeated and kept.job.status == job_pb2.JOB_STATUS_SUCCEEDED):
                kept = self._leased(request.job_id, request.lease_id)
                kept.job.status = job_pb2.JOB_STATUS_SUCCEEDED
                kept.job.result.update(request.result)
                kept.job.ClearField("error")
                kept.job.finished_time.CopyFrom(self._state.now())
                self._touch(kept)
            return pb.FinishJobResponse(job=kept.job)

    def FailJob(
        self, request: pb.FailJobRequest, context: grpc.ServicerContext
    ) -> pb.FailJobResponse:
        with self._state.lock:
            kept = self._kept(request.job_id)
            has_ended = kept.job.status in {job_pb2.JOB_STATUS_QUEUED, job_pb2.JOB_STATUS_FAILED}
            if not (kept.lease_id == request.lease_id and has_ended):
                kept = self._leased(request.job_id, request.lease_id)
                kept.job.error.CopyFrom(request.error)
                if request.permanent or kept.job.attempts >= kept.last_attempt:
                    kept.job.status = job_pb2.JOB_STATUS_FAILED
                    kept.job.finished_time.CopyFrom(self._state.now())
                else:
                    kept.job.status = job_pb2.JOB_STATUS_QUEUED
                    due = self._state.clock.now() + PAUSE * 2 ** (kept.job.attempts - 1)
                    kept.job.due_time.CopyFrom(timestamp_from(due))
                self._touch(kept)
            return pb.FailJobResponse(job=kept.job)

    def RetryJob(
        self, request: pb.RetryJobRequest, context: grpc.ServicerContext
    ) -> pb.RetryJobResponse:
        with self._state.lock:
            kept = self._kept(request.job_id)
            if kept.job.status != job_pb2.JOB_STATUS_FAILED:
                raise _invalid_state(kept)
            kept.job.status = job_pb2.JOB_STATUS_QUEUED
            kept.job.due_time.CopyFrom(self._state.now())
            kept.job.ClearField("finished_time")
            kept.last_attempt = kept.job.attempts + kept.max_attempts
            kept.lease_id = ""
            self._touch(kept)
            return pb.RetryJobResponse(job=kept.job)

    def _enqueued(self, wanted: pb.NewJob) -> pb.EnqueuedJob:
        known = wanted.id if wanted.id in self.kept else self._ids_by_key.get(wanted.unique_key)
        if known is not None:
            return pb.EnqueuedJob(id=known, created=False)
        job = job_pb2.Job(
            id=wanted.id,
            name=wanted.name,
            status=job_pb2.JOB_STATUS_QUEUED,
            created_time=self._state.now(),
            due_time=wanted.due_time if wanted.HasField("due_time") else self._state.now(),
            version=1,
        )
        attempts = wanted.max_attempts or 8
        self.kept[job.id] = KeptJob(job, wanted.payload, wanted.unique_key, attempts, attempts)
        if wanted.unique_key:
            self._ids_by_key[wanted.unique_key] = job.id
        return pb.EnqueuedJob(id=job.id, created=True)

    def _kept(self, job_id: str) -> KeptJob:
        kept = self.kept.get(known_id("job_id", job_id))
        if kept is None:
            raise AppError(Kind.MISSING, "JOB_NOT_FOUND", "No such job.")
        return kept

    def _leased(self, job_id: str, lease_id: str) -> KeptJob:
        kept = self._kept(job_id)
        if kept.job.status != job_pb2.JOB_STATUS_RUNNING or kept.lease_id != lease_id:
            raise _invalid_state(kept)
        return kept

    def _touch(self, kept: KeptJob) -> None:
        kept.job.version += 1


def _invalid_state(kept: KeptJob) -> AppError:
    status = job_pb2.JobStatus.Name(kept.job.status).removeprefix("JOB_STATUS_").lower()
    return AppError(Kind.CONFLICT, "INVALID_STATE", "Not now.", status=status)
