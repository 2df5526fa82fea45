"""Reads of single users, those of several requests in one RPC."""

# Method names come from the contract.
# ruff: noqa: N802

from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc

from arcana.service.v1 import user_service_pb2 as pb
from arcana.service.v1.user_service_pb2_grpc import UserServiceStub
from controller_tier.stubs import UserStub
from tier_runtime.batches import Outcome, batch_from_wire
from tier_runtime.call import Actor, current_call
from tier_runtime.coalescing import PATIENCE_SECONDS, Coalescer, Wanted
from tier_runtime.deadline import Deadline
from tier_runtime.metadata import actor_to_proto
from tier_runtime.wire import serialized_answers

_SERVICE = "/arcana.service.v1.UserService"
# On whose behalf which user is read.
_Read = tuple[Actor, str]


class CoalescedUsers:
    """Implements UserStub: reads of single users at the same time share RPCs.

    Each is made for the actor of its own call, whose rights the service tier checks by itself; only
    what the same actor reads is asked for once.
    """

    def __init__(
        self,
        users: UserStub,
        get: Callable[[pb.GetUserRequest], bytes],
        batch_get: Callable[[pb.BatchGetUsersRequest], bytes],
        *,
        max_batch: int,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._get = get
        self._batch_get = batch_get
        self._coalescer: Coalescer[_Read, bytes] = Coalescer(
            self._fly, max_batch=max_batch, patience_seconds=patience_seconds
        )
        self.ListUsers = users.ListUsers
        self.CreateUser = users.CreateUser
        self.UpdateUser = users.UpdateUser
        self.UpdateUserStatus = users.UpdateUserStatus
        self.ReplaceUserRoles = users.ReplaceUserRoles
        self.DeleteUser = users.DeleteUser
        self.GetUserProfile = users.GetUserProfile
        self.ReplaceUserProfile = users.ReplaceUserProfile

    @classmethod
    def over(cls, channel: grpc.Channel, *, max_batch: int) -> CoalescedUsers:
        """Return the stub over a channel of `open_channel`, which stays the caller's."""
        return cls(
            UserServiceStub(channel),
            serialized_answers(channel, f"{_SERVICE}/GetUser", pb.GetUserRequest),
            serialized_answers(channel, f"{_SERVICE}/BatchGetUsers", pb.BatchGetUsersRequest),
            max_batch=max_batch,
        )

    def GetUser(self, request: pb.GetUserRequest) -> pb.GetUserResponse:
        """Read one user, on behalf of the current call's actor."""
        return pb.GetUserResponse.FromString(self.read(request.user_id))

    def read(self, user_id: str) -> bytes:
        """Return the serialized answer of GetUser, for who need not look into it.

        Raises:
            AppError: as GetUser does.
        """
        call = current_call()
        if call is None:
            return self._get(pb.GetUserRequest(user_id=user_id))
        return self._coalescer.ask((call.actor, user_id), call.deadline, call.request_id)

    def _fly(self, wanted: Sequence[Wanted[_Read]], _deadline: Deadline) -> Sequence[Outcome]:
        # The RPC is made in the call of the one with the latest deadline, and so ends with it.
        if len(wanted) == 1 and len(wanted[0].notes) == 1:
            # By itself, it is that call's own.
            return [self._get(pb.GetUserRequest(user_id=wanted[0].key[1]))]
        items = [_item(one) for one in wanted]
        return batch_from_wire(self._batch_get(pb.BatchGetUsersRequest(items=items)), len(items))


def _item(wanted: Wanted[_Read]) -> pb.BatchGetUsersItem:
    actor, user_id = wanted.key
    first, *others = wanted.notes
    return pb.BatchGetUsersItem(
        actor=actor_to_proto(actor, first), user_id=user_id, request_ids=others
    )
