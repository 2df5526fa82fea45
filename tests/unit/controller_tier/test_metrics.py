"""What the edge counts."""

from __future__ import annotations

import pytest

from arcana.service.v1 import rate_limit_service_pb2 as limit_pb
from controller_tier import metrics
from controller_tier.rate_limits import Bucket, Rate, RateLimits
from tests.metering import Counted
from tests.unit.controller_tier.edge import Edge
from tier_runtime.errors import AppError, Kind


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def edge(counted: Counted) -> Edge:
    return Edge.make(counted.meters)


def test_a_request_is_counted_by_the_pattern_of_its_route(edge: Edge, counted: Counted) -> None:
    user, token = edge.signed_in("user")
    edge.call("GET", f"users/{user.id}", token=token)
    edge.call("GET", f"users/{user.id}")

    (route,) = {route for _, route, _ in counted.all_labels(metrics.REQUESTS)}
    assert "<" in route
    assert user.id not in route
    assert counted.value(metrics.REQUESTS, "GET", route, "200") == 1
    assert counted.value(metrics.REQUESTS, "GET", route, "401") == 1
    assert counted.value(metrics.REQUEST_SECONDS, "GET", route) == 2
    assert counted.value(metrics.IN_FLIGHT) == 0


def test_paths_and_methods_that_clients_make_up_are_no_labels(edge: Edge, counted: Counted) -> None:
    for number in range(50):
        edge.call("GET", f"/made/up/{number}")
        edge.call(f"MADEUP{number}", f"/made/up/{number}")

    assert counted.all_labels(metrics.REQUESTS) == {
        ("GET", "unmatched", "404"),
        ("other", "unmatched", "404"),
    }
    assert counted.value(metrics.REQUESTS, "other", "unmatched", "404") == 50


def test_a_request_that_has_waited_for_too_long_is_a_refusal(edge: Edge, counted: Counted) -> None:
    edge.call("GET", "/health/live", environ_overrides={"arcana.waited_seconds": 60.0})

    assert counted.value(metrics.REFUSED, "waited_too_long") == 1
    assert counted.value(metrics.IN_FLIGHT) == 0


def test_tokens_are_counted_by_what_became_of_them(edge: Edge, counted: Counted) -> None:
    _, token = edge.signed_in("user")
    edge.call("GET", "auth/me", token=token)
    edge.call("GET", "auth/me", token="no.token.at-all")
    edge.call("GET", "auth/me")
    edge.clock.advance(7200)
    edge.call("GET", "auth/me", token=token)

    assert counted.all_labels(metrics.TOKENS) == {
        ("valid",),
        ("invalid_token",),
        ("token_expired",),
    }
    assert counted.value(metrics.TOKENS, "valid") == 1


def test_a_token_that_cannot_be_verified_for_now_is_unknown(counted: Counted) -> None:
    tell = metrics.token_meter(counted.meters)
    tell(AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Not now."))
    metrics.token_meter(None)(None)

    assert counted.value(metrics.TOKENS, "unknown") == 1


class _Limits:
    """A service that lets nobody in, and can be lost."""

    def __init__(self) -> None:
        self.is_lost = False

    def TakeRateLimit(
        self, request: limit_pb.TakeRateLimitRequest, timeout: float | None = None
    ) -> limit_pb.TakeRateLimitResponse:
        if self.is_lost:
            raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Lost.")
        state = limit_pb.RateLimitState(allowed=False)
        return limit_pb.TakeRateLimitResponse(states=[state for _ in request.buckets])


def test_what_the_rate_limits_refuse_is_counted_by_bucket(counted: Counted) -> None:
    service = _Limits()
    limits = RateLimits(
        service,
        timeout_seconds=1.0,
        fallback_divisor=1,
        meter=metrics.RateLimitMeter(counted.meters),
    )
    bucket = Bucket("login-ip", Rate(100, 60), "192.0.2.1")

    limits.take([bucket])
    assert counted.value(metrics.RATE_LIMITED, "login-ip") == 1
    assert counted.value(metrics.COUNTED_ALONE) == 0

    service.is_lost = True
    limits.take([bucket])
    assert counted.value(metrics.RATE_LIMITED, "login-ip") == 1
    assert counted.value(metrics.COUNTED_ALONE) == 1
