"""Counters of what is limited, by the `limits` library, in Redis or in this process."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from limits import RateLimitItemPerSecond
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import Redis

from arcana.repository.v1 import rate_limit_repository_pb2
from repository_tier.field_checks import FieldChecks
from tier_runtime.breaker import Breaker, BreakerOpenError
from tier_runtime.errors import AppError, Kind

MAX_BUCKETS = 4
MAX_WINDOW_SECONDS = 24 * 3600
MAX_LIMIT = 1_000_000_000
RETRY_AFTER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """At most `limit` in each window."""

    key: str
    limit: int
    window_seconds: int


@dataclass(frozen=True, slots=True)
class BucketState:
    """How a bucket stands after it was asked."""

    key: str
    allowed: bool
    remaining: int
    reset_after_milliseconds: int


def buckets_from_proto(
    messages: Sequence[rate_limit_repository_pb2.RateLimitBucket],
) -> list[Bucket]:
    """Check buckets.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks()
    if len(messages) > MAX_BUCKETS:
        checks.fault("buckets", f"More than {MAX_BUCKETS}.")
        checks.done()
    found = []
    for number, message in enumerate(messages):
        field = f"buckets[{number}]"
        key = checks.text(f"{field}.key", message.key, 255, shortest=1)
        if not 1 <= message.limit <= MAX_LIMIT:
            checks.fault(f"{field}.limit", f"Must be from 1 to {MAX_LIMIT}.")
        seconds = message.window.seconds
        if message.window.nanos or not 1 <= seconds <= MAX_WINDOW_SECONDS:
            checks.fault(f"{field}.window", "Must be whole seconds, from 1 s to 24 h.")
        found.append(Bucket(key, message.limit, seconds))
    checks.done()
    return found


def redis_counters(url: str, client: Redis) -> RedisStorage:
    """Return counters in Redis that share the client's connections and its patience."""
    return RedisStorage(
        url,
        connection_pool=client.connection_pool,
        key_prefix="arcana:limits",
        wrap_exceptions=True,
    )


class RateLimits:
    """Takes from buckets by the sliding-window counter, which has no burst at a window's edge."""

    def __init__(self, counters: RedisStorage | MemoryStorage, breaker: Breaker) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(counters)
        self._breaker = breaker

    def take(self, buckets: Sequence[Bucket]) -> list[BucketState]:
        """Take one from every bucket, also when one before it was empty.

        Raises:
            AppError: UNAVAILABLE/SERVICE_UNAVAILABLE, when the counters cannot be reached.
        """
        try:
            with self._breaker.guard(StorageError):
                return [self._take(bucket) for bucket in buckets]
        except (StorageError, BreakerOpenError) as error:
            raise AppError(
                Kind.UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "The rate limits cannot be counted.",
                retry_after=RETRY_AFTER_SECONDS,
            ) from error

    def _take(self, bucket: Bucket) -> BucketState:
        item = RateLimitItemPerSecond(bucket.limit, bucket.window_seconds)
        allowed = self._limiter.hit(item, bucket.key)
        stats = self._limiter.get_window_stats(item, bucket.key)
        # Never later than the window's end, whatever the two clocks say.
        seconds = min(max(stats.reset_time - time.time(), 0.0), bucket.window_seconds)
        return BucketState(bucket.key, allowed, stats.remaining, math.ceil(seconds * 1000))
