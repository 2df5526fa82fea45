"""RateLimitService and health in memory."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from arcana.service.v1 import rate_limit_service_pb2 as pb
from tests.fakes.service.memory import FakeServiceTier


class FakeRateLimits:
    """Counts in one window that never ends."""

    def __init__(self, tier: FakeServiceTier) -> None:
        self._tier = tier

    def TakeRateLimit(
        self, request: pb.TakeRateLimitRequest, timeout: float | None = None
    ) -> pb.TakeRateLimitResponse:
        self._tier.enter("TakeRateLimit", request, timeout)
        states = []
        for bucket in request.buckets:
            taken = self._tier.buckets.get(bucket.key, 0) + 1
            self._tier.buckets[bucket.key] = taken
            states.append(
                pb.RateLimitState(
                    key=bucket.key,
                    allowed=taken <= bucket.limit,
                    remaining=max(bucket.limit - taken, 0),
                    reset_after=Duration(seconds=bucket.window.seconds - 1, nanos=500_000_000),
                )
            )
        return pb.TakeRateLimitResponse(states=states)


class FakeHealth:
    def __init__(self, tier: FakeServiceTier) -> None:
        self._tier = tier

    def is_serving(self, name: str) -> bool:
        return self._tier.serving.get(name, False)
