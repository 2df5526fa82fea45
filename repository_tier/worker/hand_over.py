"""Hands jobs to the service tier."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from random import Random

from arcana.service.v1 import job_service_pb2, job_service_pb2_grpc
from repository_tier.backoff import pause_seconds
from repository_tier.worker.calls import SystemCalls
from tier_runtime.errors import AppError, Kind
from tier_runtime.logs import get_logger
from tier_runtime.tracing.spans import NO_TRACING, Tracing

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0

_log = get_logger(__name__)


class HandOver:
    """Hands over one job at a time for each thread. Safe to use from several threads."""

    def __init__(
        self,
        jobs: job_service_pb2_grpc.JobServiceStub,
        *,
        limit_seconds: float,
        is_stopping: threading.Event,
        random: Random,
        count: Callable[[str], None] = lambda _outcome: None,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._jobs = jobs
        self._limit_seconds = limit_seconds
        self._is_stopping = is_stopping
        self._random = random
        # Is told what came of each job.
        self._count = count
        self._calls = SystemCalls(tracing)

    def run(self, job_id: str) -> bool:
        """Have a job worked on, and return True when its message has done its duty.

        While the service tier cannot be reached it is asked again and again: no other job could be
        handed over either. False says that the worker is to end before that.
        """
        for attempt in count(1):
            try:
                outcome = self._ask(job_id)
            except AppError as error:
                if error.kind is not Kind.UNAVAILABLE:
                    # If the job has begun, its lease runs out; if not, it is published again.
                    self._count("not_run")
                    _log.warning("job_not_run", job_id=job_id, code=error.code)
                    return True
            else:
                name = job_service_pb2.JobOutcome.Name(outcome).removeprefix("JOB_OUTCOME_")
                self._count(name.lower())
                _log.info("job_run", job_id=job_id, outcome=name.lower())
                return True
            pause = pause_seconds(
                attempt, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, self._random.random()
            )
            if self._is_stopping.wait(pause):
                break
        return False

    def _ask(self, job_id: str) -> job_service_pb2.JobOutcome.ValueType:
        with self._calls.named("run job", job_id, self._limit_seconds):
            return self._jobs.RunJob(job_service_pb2.RunJobRequest(job_id=job_id)).outcome
