"""RateLimitService over its use case."""

from __future__ import annotations

import grpc

from arcana.service.v1 import rate_limit_service_pb2 as pb
from arcana.service.v1 import rate_limit_service_pb2_grpc
from service_tier.conversion.rate_limits import bucket_from_proto, state_to_proto
from service_tier.usecases.rate_limits import RateLimits
from tier_runtime.validation import require


class RateLimitServicer(rate_limit_service_pb2_grpc.RateLimitServiceServicer):
    """Counts what is limited."""

    def __init__(self, rate_limits: RateLimits) -> None:
        self._rate_limits = rate_limits

    def TakeRateLimit(
        self, request: pb.TakeRateLimitRequest, context: grpc.ServicerContext
    ) -> pb.TakeRateLimitResponse:
        """Take one from each bucket."""
        require(request, "buckets")
        buckets = [bucket_from_proto(bucket) for bucket in request.buckets]
        taken = self._rate_limits.take(buckets)
        return pb.TakeRateLimitResponse(states=[state_to_proto(state) for state in taken.states])
