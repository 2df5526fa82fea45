"""Users and their profiles: the rows below /users."""

from __future__ import annotations

from flask import Response

from arcana.service.v1 import user_service_pb2 as users_pb2
from controller_tier.conditional import expected_version
from controller_tier.conversion.paging import page_document
from controller_tier.conversion.users import (
    STATUSES,
    create_user_request,
    list_users_request,
    profile_document,
    replace_profile_request,
    user_document,
)
from controller_tier.documents import (
    conditional_answer,
    created_answer,
    empty_answer,
    json_answer,
    versioned_answer,
)
from controller_tier.idempotency import idempotency_key
from controller_tier.operations import Fields
from controller_tier.stubs import UserStub


class UserViews:
    """The views of users and profiles."""

    def __init__(self, users: UserStub, *, require_if_match: bool) -> None:
        self._users = users
        self._require_if_match = require_if_match

    def list_users(self, query: Fields) -> Response:
        """Show one page of users."""
        found = self._users.ListUsers(list_users_request(query))
        items = [user_document(user) for user in found.users]
        return json_answer(page_document(items, found.page, query))

    def create_user(self, body: Fields) -> Response:
        """Make a user."""
        made = self._users.CreateUser(create_user_request(body, idempotency_key()))
        return created_answer(
            user_document(made.user),
            made.user.version,
            f"/api/v1/users/{made.user.id}",
            replayed=made.replayed,
        )

    def get_user(self, user_id: str) -> Response:
        """Show a user."""
        found = self._users.GetUser(users_pb2.GetUserRequest(user_id=user_id))
        return conditional_answer(user_document(found.user), found.user.version)

    def update_user(self, user_id: str, body: Fields) -> Response:
        """Change the given members of a user; both of them are a replacement."""
        changed = self._users.UpdateUser(
            users_pb2.UpdateUserRequest(
                user_id=user_id,
                expected_version=self._expected_version(user_id),
                name=body.get("name"),
                email=body.get("email"),
            )
        )
        return versioned_answer(user_document(changed.user), changed.user.version)

    def update_status(self, user_id: str, body: Fields) -> Response:
        """Set a user's status."""
        changed = self._users.UpdateUserStatus(
            users_pb2.UpdateUserStatusRequest(
                user_id=user_id,
                expected_version=self._expected_version(user_id),
                status=STATUSES[body["status"]],
            )
        )
        return versioned_answer(user_document(changed.user), changed.user.version)

    def replace_roles(self, user_id: str, body: Fields) -> Response:
        """Set a user's roles."""
        changed = self._users.ReplaceUserRoles(
            users_pb2.ReplaceUserRolesRequest(
                user_id=user_id,
                expected_version=self._expected_version(user_id),
                roles=body["roles"],
            )
        )
        return versioned_answer(user_document(changed.user), changed.user.version)

    def delete_user(self, user_id: str) -> Response:
        """Delete a user for good."""
        self._users.DeleteUser(
            users_pb2.DeleteUserRequest(
                user_id=user_id, expected_version=self._expected_version(user_id)
            )
        )
        return empty_answer()

    def get_profile(self, user_id: str) -> Response:
        """Show a profile."""
        found = self._users.GetUserProfile(users_pb2.GetUserProfileRequest(user_id=user_id))
        return conditional_answer(profile_document(found.profile), found.profile.version)

    def replace_profile(self, user_id: str, body: Fields) -> Response:
        """Set a profile; what is not given is cleared."""
        version = expected_version(
            lambda: self._profile_version(user_id), required=self._require_if_match, least=0
        )
        changed = self._users.ReplaceUserProfile(replace_profile_request(user_id, version, body))
        return versioned_answer(profile_document(changed.profile), changed.profile.version)

    def _expected_version(self, user_id: str) -> int:
        """Return what If-Match asks for, 0 for any version."""
        version = expected_version(
            lambda: self._user_version(user_id), required=self._require_if_match
        )
        return version or 0

    def _user_version(self, user_id: str) -> int:
        return self._users.GetUser(users_pb2.GetUserRequest(user_id=user_id)).user.version

    def _profile_version(self, user_id: str) -> int:
        request = users_pb2.GetUserProfileRequest(user_id=user_id)
        return self._users.GetUserProfile(request).profile.version
