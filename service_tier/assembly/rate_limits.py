"""Builds the service of rate limits."""

from __future__ import annotations

from functools import partial

from arcana.service.v1 import rate_limit_service_pb2_grpc
from service_tier.repository import Repository
from service_tier.servicers.rate_limits import RateLimitServicer
from service_tier.usecases.rate_limits import RateLimits
from tier_runtime.server import Registration


def make_rate_limit_service(repository: Repository) -> Registration:
    """Build the service of rate limits."""
    rate_limits = RateLimitServicer(RateLimits(repository))
    return Registration(
        "arcana.service.v1.RateLimitService",
        partial(rate_limit_service_pb2_grpc.add_RateLimitServiceServicer_to_server, rate_limits),
    )
