"""One attempt at a job, as what does the work sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from google.protobuf.duration_pb2 import Duration

from arcana.repository.v1 import job_pb2, job_repository_pb2
from service_tier.repository import Repository
from tier_runtime.call import Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError

# How long writing down what happened to a job may take.
REPORT_SECONDS = 5.0
# What is left of a lease when a step must be over.
SPARE_SECONDS = 0.5


class LeaseLostError(Exception):
    """The job is no longer ours: the lease ran out, and somebody has begun it anew or ended it."""


class JobHandler(Protocol):
    """Does the work of the jobs of one name."""

    def run(self, work: JobWork) -> Mapping[str, str]:
        """Do it, from where an earlier attempt stopped, and return what came out.

        Raises:
            AppError: it could not be done. INVALID says that no further attempt could do it.
        """
        ...


def lease_deadline(call: Call, lease_length: timedelta) -> Deadline:
    """Return when work must be over under a lease that is about to be asked for.

    Not one that was given: an answer may be late, and the lease runs from before it.
    """
    seconds = min(lease_length.total_seconds(), call.deadline.remaining())
    return Deadline.after(max(seconds - SPARE_SECONDS, 0.0))


class JobWork:
    """A job that has begun, under a lease that each report renews.

    `deadline` is when the work must be over, unless it reports before.
    """

    def __init__(
        self,
        repository: Repository,
        started: job_repository_pb2.StartJobResponse,
        *,
        lease_id: str,
        lease_length: timedelta,
        call: Call,
        deadline: Deadline,
    ) -> None:
        self._repository = repository
        self._lease_id = lease_id
        self._lease_length = lease_length
        self._call = call
        self.deadline = deadline
        self.job_id = started.job.id
        self.payload = started.payload
        self.checkpoint = started.checkpoint

    @contextmanager
    def step(self) -> Iterator[Call]:
        """Make the RPCs inside the block in the call that is over before the lease is."""
        call = replace(self._call, deadline=self.deadline)
        with call_scope(call):
            call.deadline.check()
            yield call

    def report(self, done: int, total: int | None, checkpoint: bytes = b"") -> None:
        """Note how far the job has come and where to go on, and renew the lease.

        Raises:
            AppError: it cannot be written down.
            LeaseLostError: the job is no longer ours; stop.
        """
        request = job_repository_pb2.ReportJobProgressRequest(
            job_id=self.job_id,
            lease_id=self._lease_id,
            progress=job_pb2.JobProgress(done=done, total=total),
            checkpoint=checkpoint,
            lease_duration=Duration(seconds=int(self._lease_length.total_seconds())),
        )
        renewed = lease_deadline(self._call, self._lease_length)
        try:
            self._repository.jobs.ReportJobProgress(request, timeout=REPORT_SECONDS)
        except AppError as error:
            if error.code == "INVALID_STATE":
                raise LeaseLostError from error
            raise
        self.deadline = renewed
