"""Counts what is limited, for all replicas of the edge together."""

from __future__ import annotations

from collections.abc import Sequence

from arcana.repository.v1 import rate_limit_repository_pb2
from service_tier.domain.faults import refuse_faults
from service_tier.repository import Repository

MAX_BUCKETS = 4
MAX_KEY_LENGTH = 255
MAX_WINDOW_SECONDS = 24 * 60 * 60


class RateLimits:
    """Passes buckets on to where they are counted."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def take(
        self, buckets: Sequence[rate_limit_repository_pb2.RateLimitBucket]
    ) -> rate_limit_repository_pb2.TakeRateLimitResponse:
        """Take one from each bucket.

        Raises:
            AppError: INVALID/VALIDATION_FAILED; UNAVAILABLE/SERVICE_UNAVAILABLE when the
                counters cannot be reached.
        """
        faults: dict[str, list[str]] = {}
        if len(buckets) > MAX_BUCKETS:
            faults["buckets"] = [f"At most {MAX_BUCKETS} buckets."]
        for number, bucket in enumerate(buckets):
            faults[f"buckets[{number}]"] = _bucket_faults(bucket)
        refuse_faults(faults)
        return self._repository.rate_limits.TakeRateLimit(
            rate_limit_repository_pb2.TakeRateLimitRequest(buckets=buckets)
        )


def _bucket_faults(bucket: rate_limit_repository_pb2.RateLimitBucket) -> list[str]:
    faults = []
    if not 1 <= len(bucket.key) <= MAX_KEY_LENGTH:
        faults.append(f"`key` must have 1 to {MAX_KEY_LENGTH} characters.")
    if bucket.limit < 1:
        faults.append("`limit` must be 1 or more.")
    if bucket.window.nanos or not 1 <= bucket.window.seconds <= MAX_WINDOW_SECONDS:
        faults.append("`window` must be whole seconds, 1 s to 24 h.")
    return faults
