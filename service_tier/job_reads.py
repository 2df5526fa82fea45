"""Reads of jobs and reports from the repository tier, whose answers need not be decoded."""

from __future__ import annotations

import grpc

from arcana.repository.v1 import job_repository_pb2 as pb
from arcana.repository.v1 import report_repository_pb2
from tier_runtime.wire import serialized_answers

_JOBS = "/arcana.repository.v1.JobRepository"


class JobReads:
    """Reads jobs and reports over a channel of `open_channel`. All methods raise AppError."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._get = serialized_answers(channel, f"{_JOBS}/GetJob", pb.GetJobRequest)
        self._list = serialized_answers(channel, f"{_JOBS}/ListJobs", pb.ListJobsRequest)
        self._daily_report = serialized_answers(
            channel,
            "/arcana.repository.v1.ReportRepository/GetDailyReport",
            report_repository_pb2.GetDailyReportRequest,
        )

    def get(self, job_id: str) -> bytes:
        """Return the answer of GetJob."""
        return self._get(pb.GetJobRequest(job_id=job_id))

    def list(self, request: pb.ListJobsRequest) -> bytes:
        """Return the answer of ListJobs."""
        return self._list(request)

    def daily_report(self, date: str) -> bytes:
        """Return the answer of GetDailyReport."""
        return self._daily_report(report_repository_pb2.GetDailyReportRequest(date=date))
