"""Reads of users from the repository tier; see `coalesced_reads`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import grpc

from arcana.repository.v1 import user_repository_pb2 as pb
from service_tier.coalesced_reads import DEFAULT_MAX_BATCH, CoalescedReads
from tier_runtime.call import Call
from tier_runtime.coalescing import PATIENCE_SECONDS
from tier_runtime.wire import serialized_answers

if TYPE_CHECKING:
    from tier_runtime.metrics.parts import ReadsMeter

_USERS = "/arcana.repository.v1.UserRepository"


class UserReads:
    """Reads users over a channel of `open_channel`. All methods raise AppError."""

    def __init__(
        self,
        channel: grpc.Channel,
        *,
        max_batch: int = DEFAULT_MAX_BATCH,
        patience_seconds: float = PATIENCE_SECONDS,
        meter: ReadsMeter | None = None,
    ) -> None:
        get = serialized_answers(channel, f"{_USERS}/GetUser", pb.GetUserRequest)
        self._batch_get = serialized_answers(
            channel, f"{_USERS}/BatchGetUsers", pb.BatchGetUsersRequest
        )
        self._list = serialized_answers(channel, f"{_USERS}/ListUsers", pb.ListUsersRequest)
        self._single = CoalescedReads(
            lambda user_id: get(pb.GetUserRequest(user_id=user_id)),
            self.batch_get,
            max_batch=max_batch,
            patience_seconds=patience_seconds,
            meter=meter,
        )

    def get(self, call: Call, user_id: str) -> bytes:
        """Return the answer of GetUser; reads of several calls at the same time share an RPC."""
        return self._single.get(call, user_id)

    def batch_get(self, user_ids: Sequence[str], request_ids: Sequence[str]) -> bytes:
        """Return the answer of BatchGetUsers."""
        return self._batch_get(pb.BatchGetUsersRequest(user_ids=user_ids, request_ids=request_ids))

    def list(self, request: pb.ListUsersRequest) -> bytes:
        """Return the answer of ListUsers."""
        return self._list(request)
