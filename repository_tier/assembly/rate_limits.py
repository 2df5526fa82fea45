"""Builds the service of rate limits."""

from __future__ import annotations

from functools import partial

from arcana.repository.v1 import rate_limit_repository_pb2_grpc
from repository_tier.rate_limits import RateLimits
from repository_tier.servicers.rate_limit_servicer import RateLimitServicer
from tier_runtime.server import Registration


def make_rate_limit_service(limits: RateLimits) -> Registration:
    """Build the service of rate limits."""
    servicer = RateLimitServicer(limits)
    return Registration(
        "arcana.repository.v1.RateLimitRepository",
        partial(rate_limit_repository_pb2_grpc.add_RateLimitRepositoryServicer_to_server, servicer),
    )
