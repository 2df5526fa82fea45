"""RateLimitRepository: counters of what is limited."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from grpc import ServicerContext

from arcana.repository.v1 import rate_limit_repository_pb2 as messages
from arcana.repository.v1.rate_limit_repository_pb2_grpc import RateLimitRepositoryServicer
from repository_tier.rate_limits import BucketState, RateLimits, buckets_from_proto
from tier_runtime.validation import require


class RateLimitServicer(RateLimitRepositoryServicer):
    """Each method checks presence, converts in, makes one call, and converts out."""

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits

    def TakeRateLimit(
        self, request: messages.TakeRateLimitRequest, context: ServicerContext
    ) -> messages.TakeRateLimitResponse:
        require(request, "buckets")
        buckets = buckets_from_proto(request.buckets)
        states = self._limits.take(buckets)
        return messages.TakeRateLimitResponse(states=[_state_to_proto(state) for state in states])


def _state_to_proto(state: BucketState) -> messages.RateLimitState:
    seconds, rest = divmod(state.reset_after_milliseconds, 1000)
    return messages.RateLimitState(
        key=state.key,
        allowed=state.allowed,
        remaining=state.remaining,
        reset_after=Duration(seconds=seconds, nanos=rest * 1_000_000),
    )
