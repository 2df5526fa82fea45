"""Requests of JobRepository, checked and in the terms of this tier.

Every function raises AppError INVALID/VALIDATION_FAILED with all faults of the request's fields.
"""

from __future__ import annotations

from arcana.repository.v1 import job_repository_pb2 as messages
from repository_tier.field_checks import FieldChecks
from repository_tier.jobs.attempts import Failure, Lease, Report

MAX_LEASE_SECONDS = 3600
MAX_CHECKPOINT_BYTES = 8192
MAX_RESULTS = 32
MAX_TEXT_CHARACTERS = 1000


def new_lease_from_proto(request: messages.StartJobRequest) -> Lease:
    """Return the lease that a job is to begin under."""
    checks = FieldChecks()
    lease = Lease(
        checks.known_id("job_id", request.job_id),
        checks.new_id("lease_id", request.lease_id),
        checks.span("lease_duration", request.lease_duration, 1, MAX_LEASE_SECONDS),
    )
    checks.done()
    return lease


def report_from_proto(request: messages.ReportJobProgressRequest) -> tuple[Lease, Report]:
    """Return how far which job has come."""
    checks = FieldChecks()
    lease = Lease(
        checks.known_id("job_id", request.job_id),
        checks.known_id("lease_id", request.lease_id),
        checks.span("lease_duration", request.lease_duration, 1, MAX_LEASE_SECONDS),
    )
    progress = request.progress
    total = progress.total if progress.HasField("total") else None
    checks.not_negative("progress.done", progress.done)
    if total is not None and progress.done > total:
        checks.fault("progress.done", "More than there are.")
    if len(request.checkpoint) > MAX_CHECKPOINT_BYTES:
        checks.fault("checkpoint", f"More than {MAX_CHECKPOINT_BYTES} bytes.")
    checks.done()
    return lease, Report(progress.done, total, request.checkpoint)


def result_from_proto(request: messages.FinishJobRequest) -> tuple[Lease, dict[str, str]]:
    """Return what came out of which job."""
    checks = FieldChecks()
    lease = _lease(checks, request.job_id, request.lease_id)
    if len(request.result) > MAX_RESULTS:
        checks.fault("result", f"More than {MAX_RESULTS}.")
        checks.done()
    result = {
        checks.word("result", name, 64): checks.text(f"result.{name}", text, MAX_TEXT_CHARACTERS)
        for name, text in request.result.items()
    }
    checks.done()
    return lease, result


def failure_from_proto(request: messages.FailJobRequest) -> tuple[Lease, Failure]:
    """Return why an attempt at which job failed."""
    checks = FieldChecks()
    lease = _lease(checks, request.job_id, request.lease_id)
    failure = Failure(
        checks.word("error.code", request.error.code, 64),
        checks.text("error.message", request.error.message, MAX_TEXT_CHARACTERS),
        request.permanent,
    )
    checks.done()
    return lease, failure


def _lease(checks: FieldChecks, job_id: str, lease_id: str) -> Lease:
    return Lease(checks.known_id("job_id", job_id), checks.known_id("lease_id", lease_id))
