"""Reads as the service tier makes them: coalesced, and answers that nobody decodes."""

from __future__ import annotations

import grpc

from arcana.repository.v1 import user_repository_pb2 as messages
from benchmarks.worker import BenchmarkError
from service_tier.user_reads import UserReads
from tier_runtime.call import current_call

# Of every user there is at least its id in a page.
_ID_BYTES = 36


class ShippedReads:
    """The service tier's own reads. What they return goes on to the edge as it is."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._reads = UserReads(channel)

    def get(self, user_id: str) -> None:
        """Read one user, in one call with others who read at the same time."""
        call = current_call()
        if call is None:
            raise BenchmarkError("a read of the service tier belongs to a call")
        if user_id.encode() not in self._reads.get(call, user_id):
            raise BenchmarkError(f"asked for {user_id}, got another one")

    def list(self, request: messages.ListUsersRequest, size: int) -> None:
        """Read a page."""
        answer = self._reads.list(request)
        if len(answer) < size * _ID_BYTES:
            raise BenchmarkError(f"asked for {size} users, got {len(answer)} bytes")
