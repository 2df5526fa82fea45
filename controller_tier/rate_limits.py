"""How often somebody may do something: shared counters, with the worker's own as a fallback.

The counters live behind the service tier, so that all replicas count together. While they cannot
be reached, each worker counts for itself, with limits that are stricter by a divisor.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from google.protobuf.duration_pb2 import Duration
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from arcana.service.v1.rate_limit_service_pb2 import RateLimitBucket, TakeRateLimitRequest
from controller_tier.metrics import RateLimitMeter
from controller_tier.stubs import RateLimitStub
from tier_runtime.errors import AppError, Kind
from tier_runtime.logs import get_logger

# A customer of an IPv6 provider has a network of this size, and any address in it.
IPV6_PREFIX = 64


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` in every `seconds`."""

    limit: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Return the rate written as `limit/seconds`, such as `30/60`."""
        limit, _, seconds = text.partition("/")
        return cls(int(limit), int(seconds))


@dataclass(frozen=True, slots=True)
class Bucket:
    """What one request counts against: a rate under a name, and for whom.

    `holder` must not be an e-mail address or a token in clear; see `hashed`.
    """

    name: str
    rate: Rate
    holder: str

    @property
    def key(self) -> str:
        """The name under which it is counted."""
        return f"{self.name}:{self.holder}"


@dataclass(frozen=True, slots=True)
class BucketState:
    """How a bucket stands after a request was counted. `reset_after` is in seconds.

    The bucket's rate is the one that was enforced.
    """

    bucket: Bucket
    allowed: bool
    remaining: int
    reset_after: float


class RateLimits:
    """Counts requests and refuses those that are too many."""

    def __init__(
        self,
        stub: RateLimitStub,
        *,
        timeout_seconds: float,
        fallback_divisor: int,
        meter: RateLimitMeter | None = None,
    ) -> None:
        self._stub = stub
        self._timeout = timeout_seconds
        self._divisor = fallback_divisor
        self._meter = meter
        self._local = FixedWindowRateLimiter(MemoryStorage())
        # Two at once may start the storage's timer twice, which is an error.
        self._local_lock = threading.Lock()
        self._shared_is_lost = False

    def take(self, buckets: Sequence[Bucket]) -> list[BucketState]:
        """Count one request against each bucket and return how they stand."""
        states = self._taken(buckets)
        if self._meter is not None:
            for state in states:
                if not state.allowed:
                    self._meter.limited(state.bucket.name)
        return states

    def _taken(self, buckets: Sequence[Bucket]) -> list[BucketState]:
        try:
            states = self._take_shared(buckets)
        except AppError as error:
            if not self._shared_is_lost:
                get_logger(__name__).warning("rate_limits_local", code=error.code)
            self._shared_is_lost = True
            if self._meter is not None:
                self._meter.counted_alone()
            return [self._take_local(bucket) for bucket in buckets]
        if self._shared_is_lost:
            get_logger(__name__).info("rate_limits_shared")
        self._shared_is_lost = False
        return states

    def _take_shared(self, buckets: Sequence[Bucket]) -> list[BucketState]:
        answer = self._stub.TakeRateLimit(
            TakeRateLimitRequest(
                buckets=[
                    RateLimitBucket(
                        key=bucket.key,
                        limit=bucket.rate.limit,
                        window=Duration(seconds=bucket.rate.seconds),
                    )
                    for bucket in buckets
                ]
            ),
            timeout=self._timeout,
        )
        return [
            BucketState(
                bucket,
                allowed=state.allowed,
                remaining=max(state.remaining, 0),
                reset_after=state.reset_after.seconds + state.reset_after.nanos / 1e9,
            )
            for bucket, state in zip(buckets, answer.states, strict=True)
        ]

    def _take_local(self, bucket: Bucket) -> BucketState:
        rate = replace(bucket.rate, limit=max(bucket.rate.limit // self._divisor, 1))
        item = RateLimitItemPerSecond(rate.limit, rate.seconds)
        with self._local_lock:
            allowed = self._local.hit(item, bucket.key)
            stats = self._local.get_window_stats(item, bucket.key)
        return BucketState(
            replace(bucket, rate=rate),
            allowed=allowed,
            remaining=max(stats.remaining, 0),
            # By the library's clock, which is the machine's.
            reset_after=max(stats.reset_time - time.time(), 0.0),
        )


def refuse_if_empty(states: Sequence[BucketState]) -> None:
    """Do nothing if every bucket had one left.

    Raises:
        AppError: THROTTLED/RATE_LIMITED, with the time until all of them have one again.
    """
    refused = [state for state in states if not state.allowed]
    if refused:
        raise AppError(
            Kind.THROTTLED,
            "RATE_LIMITED",
            "Too many requests; try again later.",
            retry_after=max(state.reset_after for state in refused),
        )


def refusing(states: Sequence[BucketState]) -> list[Bucket]:
    """Return the buckets that had none left."""
    return [state.bucket for state in states if not state.allowed]


def rate_limit_headers(states: Sequence[BucketState]) -> dict[str, str]:
    """Return RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers)."""
    policies = [
        f'"{state.bucket.name}";q={state.bucket.rate.limit};w={state.bucket.rate.seconds}'
        for state in states
    ]
    stands = [
        f'"{state.bucket.name}";r={state.remaining};t={math.ceil(state.reset_after)}'
        for state in states
    ]
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(stands)}


def hashed(text: str) -> str:
    """Return what stands for an e-mail address in a bucket's key, letter case ignored."""
    return hashlib.sha256(text.casefold().encode("utf-8", "replace")).hexdigest()


def without_zone(address: str) -> str:
    """Return an IPv6 address less its zone (RFC 4007): any text, and no part of who it is."""
    return address.partition("%")[0]


def network_of(address: str | None) -> str:
    """Return what stands for a client's address: itself, or the network of an IPv6 one."""
    if not address:
        return "unknown"
    try:
        parsed = ipaddress.ip_address(without_zone(address))
    except ValueError:
        # Behind a proxy this is a header's text: any length, any characters.
        return hashed(address)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.IPv6Network((parsed, IPV6_PREFIX), strict=False).network_address)
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
