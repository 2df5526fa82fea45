"""What the edge counts, besides what every tier does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tier_runtime.errors import AppError, Kind
from tier_runtime.metrics.families import counter, gauge, histogram

if TYPE_CHECKING:
    from tier_runtime.metrics.meters import Meters

REQUESTS = counter(
    "arcana_http_requests_total",
    "HTTP requests that were answered, by the route's pattern (`unmatched`: no route of ours).",
    ("method", "route", "status"),
)
REQUEST_SECONDS = histogram(
    "arcana_http_request_duration_seconds",
    "How long an HTTP request took until its answer began; what is streamed comes after that.",
    ("method", "route"),
)
IN_FLIGHT = gauge("arcana_http_requests_in_flight", "HTTP requests that are being handled.")
REFUSED = counter(
    "arcana_http_refused_total",
    "HTTP requests that no route has seen, by the reason: they could not be read, or had waited "
    "for a thread for too long.",
    ("reason",),
)
TOKENS = counter(
    "arcana_token_verifications_total",
    "Access tokens that were presented, by what became of them.",
    ("outcome",),
)
RATE_LIMITED = counter(
    "arcana_rate_limited_total",
    "Requests for which a bucket of the rate limits was empty, by the bucket.",
    ("bucket",),
)
COUNTED_ALONE = counter(
    "arcana_rate_limits_local_total",
    "Requests that a process counted against its own, stricter limits because the shared counters "
    "could not be reached.",
)

SERIES = (*(REQUESTS, REQUEST_SECONDS, IN_FLIGHT, REFUSED, TOKENS, RATE_LIMITED, COUNTED_ALONE),)

# Any other word may be a client's own invention.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NO_ROUTE = "unmatched"


class HttpMeter:
    """Counts HTTP requests."""

    def __init__(self, meters: Meters) -> None:
        self._requests = meters.counter(REQUESTS)
        self._seconds = meters.histogram(REQUEST_SECONDS)
        self._in_flight = meters.gauge(IN_FLIGHT).of()
        self._refused = meters.counter(REFUSED)

    def opened(self) -> None:
        """Count a request in."""
        self._in_flight.inc()

    def answered(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count its answer; None is the route of a path that none of ours has."""
        method = method if method in _METHODS else "other"
        self._requests.of(method, route or _NO_ROUTE, str(status)).inc()
        self._seconds.of(method, route or _NO_ROUTE).observe(seconds)

    def closed(self) -> None:
        """Count it out."""
        self._in_flight.dec()

    def refused(self, reason: str) -> None:
        """Count a request that no route sees; the reason is one of few words."""
        self._refused.of(reason).inc()


class RateLimitMeter:
    """Counts what the rate limits do."""

    def __init__(self, meters: Meters) -> None:
        self._limited = meters.counter(RATE_LIMITED)
        self._alone = meters.counter(COUNTED_ALONE).of()

    def limited(self, bucket: str) -> None:
        """Count a request for which this bucket was empty; buckets are named by our own rules."""
        self._limited.of(bucket).inc()

    def counted_alone(self) -> None:
        """Count a request that only this process knows of."""
        self._alone.inc()


def token_meter(meters: Meters | None) -> Callable[[AppError | None], None]:
    """Return what is told how the verification of a token ended: by an error, or by none."""
    if meters is None:
        return lambda _error: None
    tokens = meters.counter(TOKENS)

    def tell(error: AppError | None) -> None:
        if error is None:
            outcome = "valid"
        elif error.kind is Kind.UNAUTHENTICATED:
            # Invalid, expired or revoked; those that verify have no other codes.
            outcome = error.code.lower()
        else:
            outcome = "unknown"
        tokens.of(outcome).inc()

    return tell
