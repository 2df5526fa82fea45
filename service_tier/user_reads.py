"""Reads of users from the repository tier: many callers in few RPCs, and no answer decoded.

The answers are the serialized messages of the repository tier's contract. Those of this tier's
contract have the same fields, which a contract test holds, so they go on as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from arcana.repository.v1 import user_repository_pb2 as pb
from tier_runtime.batches import Outcome, batch_from_wire
from tier_runtime.call import Call
from tier_runtime.coalescing import PATIENCE_SECONDS, Coalescer, Wanted
from tier_runtime.deadline import Deadline
from tier_runtime.wire import serialized_answers

_USERS = "/arcana.repository.v1.UserRepository"
DEFAULT_MAX_BATCH = 64


class UserReads:
    """Reads users over a channel of `open_channel`. All methods raise AppError."""

    def __init__(
        self,
        channel: grpc.Channel,
        *,
        max_batch: int = DEFAULT_MAX_BATCH,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._get = serialized_answers(channel, f"{_USERS}/GetUser", pb.GetUserRequest)
        self._batch_get = serialized_answers(
            channel, f"{_USERS}/BatchGetUsers", pb.BatchGetUsersRequest
        )
        self._list = serialized_answers(channel, f"{_USERS}/ListUsers", pb.ListUsersRequest)
        self._coalescer: Coalescer[str, bytes] = Coalescer(
            self._fly, max_batch=max_batch, patience_seconds=patience_seconds
        )

    def get(self, call: Call, user_id: str) -> bytes:
        """Return the answer of GetUser; reads of several calls at the same time share an RPC."""
        return self._coalescer.ask(user_id, call.deadline, call.request_id)

    def batch_get(self, user_ids: Sequence[str], request_ids: Sequence[str]) -> bytes:
        """Return the answer of BatchGetUsers."""
        return self._batch_get(pb.BatchGetUsersRequest(user_ids=user_ids, request_ids=request_ids))

    def list(self, request: pb.ListUsersRequest) -> bytes:
        """Return the answer of ListUsers."""
        return self._list(request)

    def _fly(self, wanted: Sequence[Wanted[str]], _deadline: Deadline) -> Sequence[Outcome]:
        # The RPC is made in the call of the one with the latest deadline, and so ends with it.
        user_ids = [one.key for one in wanted]
        request_ids = [request_id for one in wanted for request_id in one.notes]
        if len(request_ids) == 1:
            return [self._get(pb.GetUserRequest(user_id=user_ids[0]))]
        return batch_from_wire(self.batch_get(user_ids, request_ids), len(user_ids))
