"""The rate limits."""

from __future__ import annotations

import grpc
from google.protobuf.duration_pb2 import Duration

from arcana.repository.v1 import (
    rate_limit_repository_pb2,
    rate_limit_repository_pb2_grpc,
)
from tests.fakes.repository.state import State


class FakeRateLimits(rate_limit_repository_pb2_grpc.RateLimitRepositoryServicer):
    """Counts in windows that begin with the first call."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._windows: dict[str, tuple[float, int]] = {}

    def TakeRateLimit(
        self,
        request: rate_limit_repository_pb2.TakeRateLimitRequest,
        context: grpc.ServicerContext,
    ) -> rate_limit_repository_pb2.TakeRateLimitResponse:
        with self._state.lock:
            return rate_limit_repository_pb2.TakeRateLimitResponse(
                states=[self._taken(bucket) for bucket in request.buckets]
            )

    def _taken(
        self, bucket: rate_limit_repository_pb2.RateLimitBucket
    ) -> rate_limit_repository_pb2.RateLimitState:
        now = self._state.clock.monotonic()
        ends, used = self._windows.get(bucket.key, (0.0, 0))
        if now >= ends:
            ends, used = now + bucket.window.seconds, 0
        allowed = used < bucket.limit
        used += allowed
        self._windows[bucket.key] = (ends, used)
        return rate_limit_repository_pb2.RateLimitState(
            key=bucket.key,
            allowed=allowed,
            remaining=bucket.limit - used,
            reset_after=Duration(seconds=int(ends - now)),
        )
