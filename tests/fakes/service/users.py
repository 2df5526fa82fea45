"""UserService in memory."""

from __future__ import annotations

from collections.abc import Iterator

from arcana.service.v1 import user_service_pb2 as pb
from arcana.service.v1.auth_service_pb2 import RoleChange
from arcana.service.v1.user_pb2 import USER_STATUS_ACTIVE, User
from tests.fakes.service.memory import (
    FakeServiceTier,
    require_admin,
    require_self_or_admin,
)
from tests.fakes.service.pages import page_of
from tier_runtime.errors import AppError, Kind
from tier_runtime.metadata import actor_of
from tier_runtime.status import to_status
from tier_runtime.timestamps import timestamp_from

_SORT_KEYS = {
    pb.USER_SORT_FIELD_NAME: lambda user: (user.name.casefold(), user.id),
    pb.USER_SORT_FIELD_EMAIL: lambda user: (user.email.casefold(), user.id),
}


class FakeUsers:
    def __init__(self, tier: FakeServiceTier) -> None:
        self._tier = tier

    def GetUser(self, request: pb.GetUserRequest) -> pb.GetUserResponse:
        actor = self._tier.enter("GetUser", request)
        require_self_or_admin(actor, request.user_id)
        return pb.GetUserResponse(user=self._tier.account(request.user_id).user)

    def BatchGetUsers(self, request: pb.BatchGetUsersRequest) -> pb.BatchGetUsersResponse:
        self._tier.enter("BatchGetUsers", request)
        return pb.BatchGetUsersResponse(results=[self._result(item) for item in request.items])

    def _result(self, item: pb.BatchGetUsersItem) -> pb.BatchGetUsersResult:
        try:
            require_self_or_admin(actor_of(item.actor), item.user_id)
            return pb.BatchGetUsersResult(user=self._tier.account(item.user_id).user)
        except AppError as error:
            return pb.BatchGetUsersResult(error=to_status(error))

    def ListUsers(self, request: pb.ListUsersRequest) -> pb.ListUsersResponse:
        require_admin(self._tier.enter("ListUsers", request))
        wanted = request.filter
        users = [
            account.user
            for account in self._tier.accounts.values()
            if (not wanted.status or account.user.status == wanted.status)
            and (not wanted.role or wanted.role in account.user.roles)
            and wanted.search.casefold() in (account.user.name + account.user.email).casefold()
        ]
        users.sort(
            key=_SORT_KEYS.get(request.sort, lambda user: (user.created_time.seconds, user.id)),
            reverse=request.page.descending,
        )
        items, result = page_of(users, request.page)
        return pb.ListUsersResponse(users=items, page=result)

    def StreamUsers(self, request: pb.StreamUsersRequest) -> Iterator[pb.StreamUsersResponse]:
        require_admin(self._tier.enter("StreamUsers", request))
        for account in list(self._tier.accounts.values()):
            self._tier.before("StreamUsers.next")
            yield pb.StreamUsersResponse(user=account.user)

    def CreateUser(self, request: pb.CreateUserRequest) -> pb.CreateUserResponse:
        require_admin(self._tier.enter("CreateUser", request))
        answer: pb.CreateUserResponse = self._tier.once(
            "CreateUser", request, lambda: self._made(request)
        )
        return answer

    def _made(self, request: pb.CreateUserRequest) -> pb.CreateUserResponse:
        if self._tier.by_email(request.email):
            raise AppError(Kind.EXISTS, "EMAIL_EXISTS", "Email already registered")
        user = self._tier.add_user(
            request.email,
            name=request.name,
            password=request.password,
            roles=tuple(request.roles),
            status=request.status or USER_STATUS_ACTIVE,
        )
        return pb.CreateUserResponse(user=user)

    def UpdateUser(self, request: pb.UpdateUserRequest) -> pb.UpdateUserResponse:
        actor = self._tier.enter("UpdateUser", request)
        require_self_or_admin(actor, request.user_id)
        with self._tier.lock:
            user = self._at_version(request.user_id, request.expected_version)
            if request.HasField("email") and request.email != user.email:
                if self._tier.by_email(request.email):
                    raise AppError(Kind.EXISTS, "EMAIL_EXISTS", "Email already registered")
                user.email, user.email_verified = request.email, False
            if request.HasField("name"):
                user.name = request.name
            self._tier.touch(user)
        return pb.UpdateUserResponse(user=user)

    def UpdateUserStatus(self, request: pb.UpdateUserStatusRequest) -> pb.UpdateUserStatusResponse:
        require_admin(self._tier.enter("UpdateUserStatus", request))
        user = self._at_version(request.user_id, request.expected_version)
        if request.status != USER_STATUS_ACTIVE:
            self._keep_an_admin(user)
            self._tier.end_sessions_of(user.id)
        user.status = request.status
        self._tier.touch(user)
        return pb.UpdateUserStatusResponse(user=user)

    def ReplaceUserRoles(self, request: pb.ReplaceUserRolesRequest) -> pb.ReplaceUserRolesResponse:
        require_admin(self._tier.enter("ReplaceUserRoles", request))
        user = self._at_version(request.user_id, request.expected_version)
        if "admin" not in request.roles:
            self._keep_an_admin(user)
        del user.roles[:]
        user.roles.extend(sorted({"user", *request.roles}))
        self._tier.touch(user)
        self._tier.role_changes.append(
            RoleChange(
                user_id=user.id,
                roles=user.roles,
                change_time=timestamp_from(self._tier.clock.now()),
            )
        )
        return pb.ReplaceUserRolesResponse(user=user)

    def DeleteUser(self, request: pb.DeleteUserRequest) -> pb.DeleteUserResponse:
        require_admin(self._tier.enter("DeleteUser", request))
        user = self._at_version(request.user_id, request.expected_version)
        self._keep_an_admin(user)
        self._tier.end_sessions_of(user.id)
        del self._tier.accounts[user.id]
        return pb.DeleteUserResponse()

    def GetUserProfile(self, request: pb.GetUserProfileRequest) -> pb.GetUserProfileResponse:
        actor = self._tier.enter("GetUserProfile", request)
        require_self_or_admin(actor, request.user_id)
        return pb.GetUserProfileResponse(profile=self._tier.account(request.user_id).profile)

    def ReplaceUserProfile(
        self, request: pb.ReplaceUserProfileRequest
    ) -> pb.ReplaceUserProfileResponse:
        actor = self._tier.enter("ReplaceUserProfile", request)
        require_self_or_admin(actor, request.user_id)
        profile = self._tier.account(request.user_id).profile
        stale = request.HasField("expected_version") and (
            request.expected_version != profile.version
        )
        if stale:
            raise _stale()
        profile.avatar_url, profile.bio, profile.phone = (
            request.avatar_url,
            request.bio,
            request.phone,
        )
        profile.version += 1
        profile.updated_time.CopyFrom(timestamp_from(self._tier.clock.now()))
        return pb.ReplaceUserProfileResponse(profile=profile)

    def _at_version(self, user_id: str, version: int) -> User:
        user = self._tier.account(user_id).user
        if version not in {0, user.version}:
            raise _stale()
        return user

    def _keep_an_admin(self, user: User) -> None:
        admins = [
            account.user.id
            for account in self._tier.accounts.values()
            if "admin" in account.user.roles and account.user.status == USER_STATUS_ACTIVE
        ]
        if admins == [user.id]:
            raise AppError(Kind.CONFLICT, "INVALID_STATE", "The last admin must stay one.")


def _stale() -> AppError:
    return AppError(Kind.STALE, "PRECONDITION_FAILED", "The user has changed since.")
