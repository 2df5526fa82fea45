"""Runs jobs: begins one, has its work done, and writes down how that ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias, TypeVar

from google.protobuf.duration_pb2 import Duration

from arcana.repository.v1 import job_pb2, job_repository_pb2
from arcana.service.v1 import job_service_pb2
from service_tier.domain.permissions import require_admin
from service_tier.jobs.work import (
    REPORT_SECONDS,
    JobHandler,
    JobWork,
    LeaseLostError,
    lease_deadline,
)
from service_tier.metrics import UNKNOWN_JOB, JobMeter
from service_tier.repository import Repository
from tier_runtime.call import Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import IdSource
from tier_runtime.logs import get_logger
from tier_runtime.tracing.spans import NO_SPAN, NO_TRACING, Carried, Tracing, WorkSpan

_MAX_MESSAGE_CHARACTERS = 1000
# How soon what could not be written down is tried again.
_AGAIN_SECONDS = 0.5
_log = get_logger(__name__)

_Answer = TypeVar("_Answer")
Outcome: TypeAlias = job_service_pb2.JobOutcome.ValueType


class JobRunner:
    """Runs jobs by their handlers. Safe to use from several threads.

    A job is leased for `lease_length`, a whole number of seconds, at a time.
    """

    def __init__(
        self,
        repository: Repository,
        handlers: Mapping[str, JobHandler],
        ids: IdSource,
        lease_length: timedelta,
        *,
        meter: JobMeter | None = None,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._repository = repository
        self._handlers = handlers
        self._ids = ids
        self._lease_length = lease_length
        self._meter = meter
        self._tracing = tracing
        if meter is not None:
            meter.expect([*handlers, UNKNOWN_JOB])

    def run(self, call: Call, job_id: str) -> Outcome:
        """Make an attempt at a job, and say how it ended.

        Raises:
            AppError: as the contract names them. Whether the job has begun is then not known; if
                it has, its lease runs out.
        """
        require_admin(call.actor)
        lease_id = self._ids.new_id()
        deadline = lease_deadline(call, self._lease_length)
        try:
            started = self._repository.jobs.StartJob(
                job_repository_pb2.StartJobRequest(
                    job_id=job_id,
                    lease_id=lease_id,
                    lease_duration=Duration(seconds=int(self._lease_length.total_seconds())),
                ),
                timeout=REPORT_SECONDS,
            )
        except AppError as error:
            return _skipped(error)
        span, traced = self._begin_span(call, started)
        work = JobWork(
            self._repository,
            started,
            lease_id=lease_id,
            lease_length=self._lease_length,
            call=traced,
            deadline=deadline,
        )
        outcome = job_service_pb2.JOB_OUTCOME_UNSPECIFIED
        try:
            with call_scope(traced):
                outcome = self._counted(work, lease_id, started.job.name)
            return outcome
        finally:
            span.end(_fault_of(outcome))

    def _begin_span(
        self, call: Call, started: job_repository_pb2.StartJobResponse
    ) -> tuple[WorkSpan, Call]:
        """Begin the span of an attempt, in the trace of what made the job.

        As a part of that trace, and not only linked to it: whether it is recorded was decided
        there, and who looks at a request sees what came of it. The attempt's own trace, which is
        the worker's, is linked.
        """
        span: WorkSpan = NO_SPAN
        if not started.traceparent:
            return span, call
        links = (call.traceparent,) if call.traceparent else ()
        span = self._tracing.work(f"job {started.job.name}", Carried(started.traceparent), links)
        traceparent = span.traceparent or started.traceparent
        return span, replace(call, traceparent=traceparent, tracestate="")

    def _counted(self, work: JobWork, lease_id: str, name: str) -> Outcome:
        if self._meter is None:
            return self._outcome(work, lease_id, name)
        with self._meter.attempt(name if name in self._handlers else UNKNOWN_JOB) as ended:
            outcome = self._outcome(work, lease_id, name)
            ended(job_service_pb2.JobOutcome.Name(outcome).removeprefix("JOB_OUTCOME_").lower())
            return outcome

    def _outcome(self, work: JobWork, lease_id: str, name: str) -> Outcome:
        try:
            return self._ended(work, lease_id, name)
        except LeaseLostError:
            return job_service_pb2.JOB_OUTCOME_SKIPPED
        except AppError as error:
            return _skipped(error)

    def _ended(self, work: JobWork, lease_id: str, name: str) -> Outcome:
        try:
            result = self._handler(name).run(work)
        except LeaseLostError:
            raise
        except AppError as error:
            return self._failed(work, lease_id, name, error)
        except Exception as error:  # noqa: BLE001 - the outermost place of a job.
            # Whatever is wrong with one job is written down, and stops no other.
            _log.exception("job_crashed", job=name, job_id=work.job_id)
            shown = AppError(Kind.INTERNAL, "INTERNAL_ERROR", f"{type(error).__name__}.")
            return self._failed(work, lease_id, name, shown)
        request = job_repository_pb2.FinishJobRequest(
            job_id=work.job_id, lease_id=lease_id, result=result
        )
        _written(
            lambda: self._repository.jobs.FinishJob(request, timeout=REPORT_SECONDS), work.deadline
        )
        return job_service_pb2.JOB_OUTCOME_SUCCEEDED

    def _handler(self, name: str) -> JobHandler:
        handler = self._handlers.get(name)
        if handler is None:
            # A newer build may have enqueued it, and may be the one to begin it next time.
            raise AppError(Kind.MISSING, "NOT_FOUND", "Nobody here knows jobs of this name.")
        return handler

    def _failed(self, work: JobWork, lease_id: str, name: str, error: AppError) -> Outcome:
        request = job_repository_pb2.FailJobRequest(
            job_id=work.job_id,
            lease_id=lease_id,
            error=job_pb2.JobError(
                code=error.code, message=error.message[:_MAX_MESSAGE_CHARACTERS]
            ),
            permanent=error.kind is Kind.INVALID,
        )
        job = _written(
            lambda: self._repository.jobs.FailJob(request, timeout=REPORT_SECONDS), work.deadline
        ).job
        is_dead = job.status == job_pb2.JOB_STATUS_FAILED
        _log.warning(
            "job_failed",
            job=name,
            job_id=work.job_id,
            code=error.code,
            attempts=job.attempts,
            given_up=is_dead,
        )
        if is_dead:
            return job_service_pb2.JOB_OUTCOME_FAILED
        return job_service_pb2.JOB_OUTCOME_POSTPONED


def _written(write: Callable[[], _Answer], deadline: Deadline) -> _Answer:
    """Write down how an attempt ended, again and again as long as the job is ours.

    A mail that is sent and not noted is sent once more: a repository tier that is started anew
    meanwhile must not lead to that.

    Raises:
        AppError: it cannot be written down.
    """
    while True:
        try:
            return write()
        except AppError as error:
            is_passing = error.kind in {Kind.UNAVAILABLE, Kind.DEADLINE}
            if not is_passing or deadline.remaining() <= _AGAIN_SECONDS:
                raise
        time.sleep(_AGAIN_SECONDS)


def _fault_of(outcome: Outcome) -> str:
    """Return by which word a span tells an attempt that did not do its work; "" for others."""
    if outcome in {job_service_pb2.JOB_OUTCOME_SUCCEEDED, job_service_pb2.JOB_OUTCOME_SKIPPED}:
        return ""
    return job_service_pb2.JobOutcome.Name(outcome)


def _skipped(error: AppError) -> Outcome:
    """Return the outcome of a job that is not ours to work on.

    Raises:
        AppError: the one given, when it says anything else.
    """
    if error.code in {"INVALID_STATE", "JOB_NOT_FOUND"}:
        return job_service_pb2.JOB_OUTCOME_SKIPPED
    raise error
