"""UserService over its use cases."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from arcana.service.v1 import user_service_pb2 as pb
from arcana.service.v1 import user_service_pb2_grpc
from service_tier.conversion.paging import page_from_request
from service_tier.conversion.users import (
    batch_notes,
    filter_from_proto,
    profile_to_proto,
    request_ids_from_proto,
    sort_from_proto,
    status_from_proto,
    status_or_active,
    user_to_proto,
    wanted_from_proto,
)
from service_tier.domain.profiles import Profile
from service_tier.idempotency import IdempotencyKeys
from service_tier.usecases.profiles import Profiles
from service_tier.usecases.registration import NewAccount, Registration
from service_tier.usecases.user_changes import AccountChange, UserChanges
from service_tier.usecases.users import Users
from tier_runtime.batches import require_items
from tier_runtime.context import rpc_context
from tier_runtime.validation import require
from tier_runtime.wire import message_field, serialized_as


class UserServicer(user_service_pb2_grpc.UserServiceServicer):
    """Users and their profiles."""

    def __init__(
        self,
        users: Users,
        registration: Registration,
        changes: UserChanges,
        profiles: Profiles,
        idempotency: IdempotencyKeys,
    ) -> None:
        self._users = users
        self._registration = registration
        self._changes = changes
        self._profiles = profiles
        self._idempotency = idempotency

    def GetUser(
        self, request: pb.GetUserRequest, context: grpc.ServicerContext
    ) -> pb.GetUserResponse:
        """Read one user."""
        require(request, "user_id")
        answer = self._users.get(rpc_context(context).call, request.user_id)
        return serialized_as(pb.GetUserResponse, answer)

    def BatchGetUsers(
        self, request: pb.BatchGetUsersRequest, context: grpc.ServicerContext
    ) -> pb.BatchGetUsersResponse:
        """Read several users, each on behalf of an actor of its own."""
        require_items("items", len(request.items))
        wanted, request_ids = wanted_from_proto(request), request_ids_from_proto(request)
        rpc_context(context).note(**batch_notes(wanted, request_ids))
        answer = self._users.batch_get(wanted, request_ids)
        return serialized_as(pb.BatchGetUsersResponse, answer)

    def ListUsers(
        self, request: pb.ListUsersRequest, context: grpc.ServicerContext
    ) -> pb.ListUsersResponse:
        """List users page by page."""
        user_filter = filter_from_proto(request.filter)
        page, sort = page_from_request(request.page), sort_from_proto(request.sort)
        listed = self._users.list(rpc_context(context).call, user_filter, page, sort)
        return serialized_as(pb.ListUsersResponse, listed)

    def StreamUsers(
        self, request: pb.StreamUsersRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.StreamUsersResponse]:
        """Stream every user that matches."""
        user_filter = filter_from_proto(request.filter)
        for user in self._users.stream(rpc_context(context).call, user_filter):
            yield serialized_as(pb.StreamUsersResponse, message_field(1, user))

    def CreateUser(
        self, request: pb.CreateUserRequest, context: grpc.ServicerContext
    ) -> pb.CreateUserResponse:
        """Make a user."""
        require(request, "email", "name", "password")
        call = rpc_context(context).call
        key = self._idempotency.key_for(call.actor, "CreateUser", request.request_id, request)
        account = NewAccount.normalized(
            email=request.email, name=request.name, password=request.password
        )
        status = status_or_active(request.status)
        created = self._registration.create(call, account, request.roles, status, key)
        return pb.CreateUserResponse(user=user_to_proto(created.user), replayed=created.replayed)

    def UpdateUser(
        self, request: pb.UpdateUserRequest, context: grpc.ServicerContext
    ) -> pb.UpdateUserResponse:
        """Change name and e-mail address."""
        require(request, "user_id")
        change = AccountChange.normalized(
            name=request.name if request.HasField("name") else None,
            email=request.email if request.HasField("email") else None,
        )
        user = self._changes.update(
            rpc_context(context).call, request.user_id, request.expected_version, change
        )
        return pb.UpdateUserResponse(user=user_to_proto(user))

    def UpdateUserStatus(
        self, request: pb.UpdateUserStatusRequest, context: grpc.ServicerContext
    ) -> pb.UpdateUserStatusResponse:
        """Set the status."""
        require(request, "user_id", "status")
        status = status_from_proto(request.status)
        user = self._changes.update_status(
            rpc_context(context).call, request.user_id, request.expected_version, status
        )
        return pb.UpdateUserStatusResponse(user=user_to_proto(user))

    def ReplaceUserRoles(
        self, request: pb.ReplaceUserRolesRequest, context: grpc.ServicerContext
    ) -> pb.ReplaceUserRolesResponse:
        """Replace the roles."""
        require(request, "user_id", "roles")
        user = self._changes.replace_roles(
            rpc_context(context).call, request.user_id, request.expected_version, request.roles
        )
        return pb.ReplaceUserRolesResponse(user=user_to_proto(user))

    def DeleteUser(
        self, request: pb.DeleteUserRequest, context: grpc.ServicerContext
    ) -> pb.DeleteUserResponse:
        """Delete a user for good."""
        require(request, "user_id")
        self._changes.delete(rpc_context(context).call, request.user_id, request.expected_version)
        return pb.DeleteUserResponse()

    def GetUserProfile(
        self, request: pb.GetUserProfileRequest, context: grpc.ServicerContext
    ) -> pb.GetUserProfileResponse:
        """Read a profile."""
        require(request, "user_id")
        profile = self._profiles.get(rpc_context(context).call, request.user_id)
        return pb.GetUserProfileResponse(profile=profile_to_proto(profile))

    def ReplaceUserProfile(
        self, request: pb.ReplaceUserProfileRequest, context: grpc.ServicerContext
    ) -> pb.ReplaceUserProfileResponse:
        """Replace a profile."""
        require(request, "user_id")
        profile = Profile.normalized(
            avatar_url=request.avatar_url, bio=request.bio, phone=request.phone
        )
        expected = request.expected_version if request.HasField("expected_version") else None
        replaced = self._profiles.replace(
            rpc_context(context).call, request.user_id, expected, profile
        )
        return pb.ReplaceUserProfileResponse(profile=profile_to_proto(replaced))
