"""Reads of single users, those of several requests in one RPC."""

# Method names come from the contract.
# ruff: noqa: N802

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import grpc

from arcana.service.v1 import user_service_pb2 as pb
from arcana.service.v1.user_service_pb2_grpc import UserServiceStub
from controller_tier.shared_reads import SharedReads
from controller_tier.stubs import UserStub
from tier_runtime.call import Actor, current_call
from tier_runtime.coalescing import PATIENCE_SECONDS, Wanted
from tier_runtime.metadata import actor_to_proto
from tier_runtime.wire import serialized_answers

if TYPE_CHECKING:
    from tier_runtime.metrics.parts import ReadsMeter

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
        meter: ReadsMeter | None = None,
    ) -> None:
        def read_one(key: _Read) -> bytes:
            return get(pb.GetUserRequest(user_id=key[1]))

        def read_many(wanted: Sequence[Wanted[_Read]]) -> bytes:
            return batch_get(pb.BatchGetUsersRequest(items=[_item(one) for one in wanted]))

        self._reads = SharedReads(
            read_one,
            read_many,
            max_batch=max_batch,
            patience_seconds=patience_seconds,
            meter=meter,
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
    def over(
        cls, channel: grpc.Channel, *, max_batch: int, meter: ReadsMeter | None = None
    ) -> CoalescedUsers:
        """Return the stub over a channel of `open_channel`, which stays the caller's."""
        return cls(
            UserServiceStub(channel),
            serialized_answers(channel, f"{_SERVICE}/GetUser", pb.GetUserRequest),
            serialized_answers(channel, f"{_SERVICE}/BatchGetUsers", pb.BatchGetUsersRequest),
            max_batch=max_batch,
            meter=meter,
        )

    def GetUser(self, request: pb.GetUserRequest) -> pb.GetUserResponse:
        """Read one user, on behalf of the current call's actor."""
        call = current_call()
        actor = call.actor if call else Actor()
        return pb.GetUserResponse.FromString(self._reads.read((actor, request.user_id)))


def _item(wanted: Wanted[_Read]) -> pb.BatchGetUsersItem:
    actor, user_id = wanted.key
    first, *others = wanted.notes
    return pb.BatchGetUsersItem(
        actor=actor_to_proto(actor, first), user_id=user_id, request_ids=others
    )
