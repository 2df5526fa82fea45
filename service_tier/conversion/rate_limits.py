"""Buckets and how they stand: the same fields on both boundaries, crossing by their bytes."""

from __future__ import annotations

from arcana.repository.v1 import rate_limit_repository_pb2
from arcana.service.v1 import rate_limit_service_pb2


def bucket_from_proto(
    bucket: rate_limit_service_pb2.RateLimitBucket,
) -> rate_limit_repository_pb2.RateLimitBucket:
    """Return a bucket as the repository tier has it."""
    return rate_limit_repository_pb2.RateLimitBucket.FromString(bucket.SerializeToString())


def state_to_proto(
    state: rate_limit_repository_pb2.RateLimitState,
) -> rate_limit_service_pb2.RateLimitState:
    """Return how a bucket stands as this tier's contract has it."""
    return rate_limit_service_pb2.RateLimitState.FromString(state.SerializeToString())
