"""Reads of jobs from the repository tier, whose answers nobody decodes who need not."""

from __future__ import annotations

import grpc

from arcana.repository.v1 import job_repository_pb2 as pb
from tier_runtime.wire import serialized_answers

_JOBS = "/arcana.repository.v1.JobRepository"


class JobReads:
    """Reads jobs over a channel of `open_channel`. All methods raise AppError."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._get = serialized_answers(channel, f"{_JOBS}/GetJob", pb.GetJobRequest)
        self._list = serialized_answers(channel, f"{_JOBS}/ListJobs", pb.ListJobsRequest)

    def get(self, job_id: str) -> bytes:
        """Return the answer of GetJob."""
        return self._get(pb.GetJobRequest(job_id=job_id))

    def list(self, request: pb.ListJobsRequest) -> bytes:
        """Return the answer of ListJobs."""
        return self._list(request)
