"""UserRepository: users, profiles, credentials, one-time tokens."""

from __future__ import annotations

from grpc import ServicerContext

from arcana.repository.v1 import user_repository_pb2 as messages
from arcana.repository.v1.user_repository_pb2_grpc import UserRepositoryServicer
from repository_tier.one_time_tokens import OneTimeTokens, new_token_from_proto
from repository_tier.outbox import events_from_proto
from repository_tier.paging import page_from_proto
from repository_tier.passwords import Passwords
from repository_tier.profiles import Profiles
from repository_tier.servicers import user_requests as requests
from repository_tier.servicers.once_keys import once_key_of
from repository_tier.user_accounts import UserAccounts
from repository_tier.user_directory import UserDirectory, filter_from_proto, order_from_proto
from tier_runtime.batches import batch_to_wire, request_ids_of, require_items
from tier_runtime.context import rpc_context
from tier_runtime.validation import require
from tier_runtime.wire import message_field, repeated_field, serialized_as


class UserServicer(UserRepositoryServicer):
    """Each method checks presence, converts in, makes one call, and converts out."""

    def __init__(
        self,
        directory: UserDirectory,
        accounts: UserAccounts,
        profiles: Profiles,
        passwords: Passwords,
        tokens: OneTimeTokens,
    ) -> None:
        self._directory = directory
        self._accounts = accounts
        self._profiles = profiles
        self._passwords = passwords
        self._tokens = tokens

    def GetUser(
        self, request: messages.GetUserRequest, context: ServicerContext
    ) -> messages.GetUserResponse:
        require(request, "user_id")
        user_id = requests.known_id("user_id", request.user_id)
        user = self._directory.get(user_id, rpc_context(context).deadline)
        return serialized_as(messages.GetUserResponse, user)

    def BatchGetUsers(
        self, request: messages.BatchGetUsersRequest, context: ServicerContext
    ) -> messages.BatchGetUsersResponse:
        require_items("user_ids", len(request.user_ids))
        notes = request_ids_of(request.request_ids)
        rpc_context(context).note(items=len(request.user_ids), **notes)
        wanted = requests.wanted_ids("user_id", request.user_ids)
        found = self._directory.get_many(wanted, rpc_context(context).deadline)
        return serialized_as(messages.BatchGetUsersResponse, batch_to_wire(found))

    def GetCredentials(
        self, request: messages.GetCredentialsRequest, context: ServicerContext
    ) -> messages.GetCredentialsResponse:
        owner = requests.owner_from_proto(request)
        credentials, user = self._directory.credentials(owner, rpc_context(context).deadline)
        return messages.GetCredentialsResponse(credentials=credentials, user=user)

    def ListUsers(
        self, request: messages.ListUsersRequest, context: ServicerContext
    ) -> messages.ListUsersResponse:
        wanted = filter_from_proto(request.filter)
        order = order_from_proto(request.sort, descending=request.page.descending)
        page = page_from_proto(request.page)
        users, place = self._directory.list(wanted, order, page, rpc_context(context).deadline)
        page_field = message_field(2, place.SerializeToString())
        return serialized_as(messages.ListUsersResponse, repeated_field(1, users) + page_field)

    def CreateUser(
        self, request: messages.CreateUserRequest, context: ServicerContext
    ) -> messages.CreateUserResponse:
        require(request, "user_id", "email", "name", "password_hash", "roles", "status")
        key = once_key_of(request)
        user = requests.new_user_from_proto(request)
        events = events_from_proto(request.events)
        return self._accounts.create(user, key, events, rpc_context(context).deadline)

    def UpdateUser(
        self, request: messages.UpdateUserRequest, context: ServicerContext
    ) -> messages.UpdateUserResponse:
        require(request, "user_id")
        target = requests.target_from_proto(request)
        change = requests.user_change_from_proto(request)
        events = events_from_proto(request.events)
        user = self._accounts.update(target, change, events, rpc_context(context).deadline)
        return messages.UpdateUserResponse(user=user)

    def UpdateUserStatus(
        self, request: messages.UpdateUserStatusRequest, context: ServicerContext
    ) -> messages.UpdateUserStatusResponse:
        require(request, "user_id", "status")
        target = requests.target_from_proto(request)
        status = requests.status_from_proto(request)
        events = events_from_proto(request.events)
        user = self._accounts.update_status(target, status, events, rpc_context(context).deadline)
        return messages.UpdateUserStatusResponse(user=user)

    def ReplaceUserRoles(
        self, request: messages.ReplaceUserRolesRequest, context: ServicerContext
    ) -> messages.ReplaceUserRolesResponse:
        require(request, "user_id", "roles")
        target = requests.target_from_proto(request)
        roles = requests.roles_from_proto(request)
        events = events_from_proto(request.events)
        user = self._accounts.replace_roles(target, roles, events, rpc_context(context).deadline)
        return messages.ReplaceUserRolesResponse(user=user)

    def DeleteUser(
        self, request: messages.DeleteUserRequest, context: ServicerContext
    ) -> messages.DeleteUserResponse:
        require(request, "user_id")
        target = requests.target_from_proto(request)
        events = events_from_proto(request.events)
        self._accounts.delete(target, events, rpc_context(context).deadline)
        return messages.DeleteUserResponse()

    def GetUserProfile(
        self, request: messages.GetUserProfileRequest, context: ServicerContext
    ) -> messages.GetUserProfileResponse:
        require(request, "user_id")
        user_id = requests.known_id("user_id", request.user_id)
        profile = self._profiles.get(user_id, rpc_context(context).deadline)
        return messages.GetUserProfileResponse(profile=profile)

    def ReplaceUserProfile(
        self, request: messages.ReplaceUserProfileRequest, context: ServicerContext
    ) -> messages.ReplaceUserProfileResponse:
        require(request, "user_id")
        change = requests.profile_change_from_proto(request)
        events = events_from_proto(request.events)
        profile = self._profiles.replace(change, events, rpc_context(context).deadline)
        return messages.ReplaceUserProfileResponse(profile=profile)

    def ReplacePassword(
        self, request: messages.ReplacePasswordRequest, context: ServicerContext
    ) -> messages.ReplacePasswordResponse:
        require(request, "user_id", "expected_credential_version", "password_hash")
        change = requests.password_change_from_proto(request)
        events = events_from_proto(request.events)
        self._passwords.replace(change, events, rpc_context(context).deadline)
        return messages.ReplacePasswordResponse()

    def CreateOneTimeToken(
        self, request: messages.CreateOneTimeTokenRequest, context: ServicerContext
    ) -> messages.CreateOneTimeTokenResponse:
        require(request, "token")
        user_id = requests.known_id("user_id", request.user_id) if request.user_id else ""
        token = new_token_from_proto(request.token, "token")
        events = events_from_proto(request.events)
        self._tokens.create(user_id, token, events, rpc_context(context).deadline)
        return messages.CreateOneTimeTokenResponse()

    def GetOneTimeToken(
        self, request: messages.GetOneTimeTokenRequest, context: ServicerContext
    ) -> messages.GetOneTimeTokenResponse:
        require(request, "token_sha256", "purpose")
        digest, purpose = requests.token_from_proto(request)
        user_id = self._tokens.owner(digest, purpose, rpc_context(context).deadline)
        return messages.GetOneTimeTokenResponse(user_id=user_id)

    def ResetPassword(
        self, request: messages.ResetPasswordRequest, context: ServicerContext
    ) -> messages.ResetPasswordResponse:
        require(request, "token_sha256", "password_hash")
        digest, password_hash = requests.reset_from_proto(request)
        events = events_from_proto(request.events)
        self._passwords.reset(digest, password_hash, events, rpc_context(context).deadline)
        return messages.ResetPasswordResponse()

    def VerifyEmail(
        self, request: messages.VerifyEmailRequest, context: ServicerContext
    ) -> messages.VerifyEmailResponse:
        require(request, "token_sha256")
        digest = requests.digest("token_sha256", request.token_sha256)
        events = events_from_proto(request.events)
        self._passwords.verify_email(digest, events, rpc_context(context).deadline)
        return messages.VerifyEmailResponse()
