"""The user repository."""

from __future__ import annotations

import grpc

from arcana.repository.v1 import user_pb2, user_repository_pb2, user_repository_pb2_grpc
from tests.fakes.repository.listing import listed_users
from tests.fakes.repository.one_time_tokens import RESET, VERIFICATION, OneTimeTokensPart
from tests.fakes.repository.state import Account, State, stale
from tier_runtime.errors import AppError, Kind
from tier_runtime.status import to_status
from tier_runtime.validation import invalid


class FakeUsers(OneTimeTokensPart, user_repository_pb2_grpc.UserRepositoryServicer):
    def __init__(self, state: State) -> None:
        self._state = state

    def GetUser(
        self, request: user_repository_pb2.GetUserRequest, context: grpc.ServicerContext
    ) -> user_repository_pb2.GetUserResponse:
        with self._state.lock:
            return user_repository_pb2.GetUserResponse(
                user=self._state.account(request.user_id).user
            )

    def BatchGetUsers(
        self, request: user_repository_pb2.BatchGetUsersRequest, context: grpc.ServicerContext
    ) -> user_repository_pb2.BatchGetUsersResponse:
        if not 0 < len(request.user_ids) <= 256:
            raise invalid({"user_ids": ["Too few or too many."]})
        with self._state.lock:
            results = [self._result(user_id) for user_id in request.user_ids]
        return user_repository_pb2.BatchGetUsersResponse(results=results)

    def _result(self, user_id: str) -> user_repository_pb2.BatchGetUsersResult:
        try:
            user = self._state.account(user_id).user
        except AppError as error:
            return user_repository_pb2.BatchGetUsersResult(error=to_status(error))
        return user_repository_pb2.BatchGetUsersResult(user=user)

    def GetCredentials(
        self, request: user_repository_pb2.GetCredentialsRequest, context: grpc.ServicerContext
    ) -> user_repository_pb2.GetCredentialsResponse:
        with self._state.lock:
            found: Account | None
            if request.WhichOneof("owner") == "email":
                found = self._state.account_by_email(request.email)
            else:
                found = self._state.accounts.get(request.user_id)
            if found is None:
                raise AppError(Kind.MISSING, "USER_NOT_FOUND", "No such user.")
            return user_repository_pb2.GetCredentialsResponse(
                credentials=user_pb2.Credentials(
                    user_id=found.user.id,
                    password_hash=found.password_hash,
                    credential_version=found.credential_version,
                ),
                user=found.user,
            )

    def ListUsers(
        self, request: user_repository_pb2.ListUsersRequest, context: grpc.ServicerContext
    ) -> user_repository_pb2.ListUsersResponse:
        with self._state.lock:
            users = [account.user for account in self._state.accounts.values()]
            return listed_users(users, request)

    def CreateUser(
        self, request: user_repository_pb2.CreateUserRequest, context: grpc.ServicerContext
    ) -> user_repository_pb2.CreateUserResponse:
        with self._state.lock:
            return self._state.once(request, lambda: self._created(request))

    def UpdateUser(
        self, request: user_repository_pb2.UpdateUserRequest, context: grpc.ServicerContext
    ) -> user_repository_pb2.UpdateUserResponse:
        with self._state.lock:
            account = self._state.versioned(request.user_id, request.expected_version)
            if request.HasField("email"):
                self._state.refuse_taken(request.email, but=request.user_id)
                if request.email.casefold() != account.user.email.casefold():
                    account.user.email_verified = False
                    self.kill_tokens(request.user_id, VERIFICATION)
                    self.kill_tokens(request.user_id, RESET)
                account.user.email = request.email
            if request.HasField("name"):
                account.user.name = request.name
            if request.HasField("verification_token"):
                self.keep_token(request.verification_token, request.user_id)
            account.touch(self._state.now())
            self._state.events.extend(request.events)
            return user_repository_pb2.UpdateUserResponse(user=account.user)

    def UpdateUserStatus(
        self, request: user_repository_pb2.UpdateUserStatusRequest, context: grpc.ServicerContext
    ) -> user_repository_pb2.UpdateUserStatusResponse:
        with self._state.lock:
            account = self._state.versioned(request.user_id, request.expected_version)
            if request.status != user_pb2.USER_STATUS_ACTIVE:
                self._state.refuse_no_admin(account)
                self._state.end_sessions(request.user_id)
            account.user.status = request.status
            account.touch(self._state.now())
            self._state.events.extend(request.events)
            return user_repository_pb2.UpdateUserStatusResponse(user=account.user)

    def ReplaceUserRoles(
        self, request: user_repository_pb2.ReplaceUserRolesRequest, context: grpc.ServicerContext
    ) -> user_repository_pb2.ReplaceUserRolesResponse:
        with self._state.lock:
            account = self._state.versioned(request.user_id, request.expected_version)
            if "admin" not in request.roles:
                self._state.refuse_no_admin(account)
            account.user.roles[:] = sorted(request.roles)
            account.touch(self._state.now())
            self._state.role_changes[request.user_id] = self._state.clock.now()
            self._state.events.extend(request.events)
            return user_repository_pb2.ReplaceUserRolesResponse(user=account.user)

    def DeleteUser(
        self, request: user_repository_pb2.DeleteUserRequest, context: grpc.ServicerContext
    ) -> user_repository_pb2.DeleteUserResponse:
        with self._state.lock:
            account = self._state.versioned(request.user_id, request.expected_version)
            self._state.refuse_no_admin(account)
            self._state.end_sessions(request.user_id)
            del self._state.accounts[request.user_id]
            for sha256, kept in list(self._state.tokens.items()):
                if kept.user_id == request.user_id:
                    del self._state.tokens[sha256]
            self._state.events.extend(request.events)
            return user_repository_pb2.DeleteUserResponse()

    def GetUserProfile(
        self, request: user_repository_pb2.GetUserProfileRequest, context: grpc.ServicerContext
    ) -> user_repository_pb2.GetUserProfileResponse:
        with self._state.lock:
            return user_repository_pb2.GetUserProfileResponse(
                profile=self._state.account(request.user_id).profile
            )

    def ReplaceUserProfile(
        self,
        request: user_repository_pb2.ReplaceUserProfileRequest,
        context: grpc.ServicerContext,
    ) -> user_repository_pb2.ReplaceUserProfileResponse:
        with self._state.lock:
            profile = self._state.account(request.user_id).profile
            if request.HasField("expected_version") and request.expected_version != profile.version:
                raise stale()
            profile.avatar_url = request.avatar_url
            profile.bio = request.bio
            profile.phone = request.phone
            profile.version += 1
            profile.updated_time.CopyFrom(self._state.now())
            self._state.events.extend(request.events)
            return user_repository_pb2.ReplaceUserProfileResponse(profile=profile)

    def ReplacePassword(
        self, request: user_repository_pb2.ReplacePasswordRequest, context: grpc.ServicerContext
    ) -> user_repository_pb2.ReplacePasswordResponse:
        with self._state.lock:
            account = self._state.account(request.user_id)
            if account.credential_version != request.expected_credential_version:
                raise stale()
            account.password_hash = request.password_hash
            account.credential_version += 1
            account.touch(self._state.now())
            self.kill_tokens(request.user_id, RESET)
            self._state.end_sessions(request.user_id, but=request.kept_session_id)
            self._state.events.extend(request.events)
            return user_repository_pb2.ReplacePasswordResponse()

    def _created(
        self, request: user_repository_pb2.CreateUserRequest
    ) -> user_repository_pb2.CreateUserResponse:
        self._state.refuse_taken(request.email)
        now = self._state.now()
        user = user_pb2.User(
            id=request.user_id,
            email=request.email,
            name=request.name,
            status=request.status,
            roles=sorted(request.roles),
            version=1,
            created_time=now,
            updated_time=now,
        )
        profile = user_pb2.UserProfile(user_id=request.user_id)
        self._state.accounts[request.user_id] = Account(user, request.password_hash, profile)
        if request.HasField("verification_token"):
            self.keep_token(request.verification_token, request.user_id)
        self._state.events.extend(request.events)
        return user_repository_pb2.CreateUserResponse(user=user)
