"""Users and profiles to documents, and loaded fields to requests about them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from arcana.service.v1.user_pb2 import (
    USER_STATUS_ACTIVE,
    USER_STATUS_INACTIVE,
    USER_STATUS_SUSPENDED,
    USER_STATUS_UNSPECIFIED,
    User,
    UserProfile,
    UserStatus,
)
from arcana.service.v1.user_service_pb2 import (
    USER_SORT_FIELD_CREATED_TIME,
    USER_SORT_FIELD_EMAIL,
    USER_SORT_FIELD_NAME,
    USER_SORT_FIELD_UPDATED_TIME,
    CreateUserRequest,
    ListUsersRequest,
    ReplaceUserProfileRequest,
    UserFilter,
    UserSortField,
)
from controller_tier.conversion.paging import page_request
from controller_tier.conversion.times import rfc3339
from controller_tier.operations import Fields
from tier_runtime.timestamps import timestamp_from

STATUSES: Mapping[str, UserStatus.ValueType] = MappingProxyType(
    {
        "active": USER_STATUS_ACTIVE,
        "inactive": USER_STATUS_INACTIVE,
        "suspended": USER_STATUS_SUSPENDED,
    }
)
SORT_FIELDS: Mapping[str, UserSortField.ValueType] = MappingProxyType(
    {
        "created_at": USER_SORT_FIELD_CREATED_TIME,
        "updated_at": USER_SORT_FIELD_UPDATED_TIME,
        "name": USER_SORT_FIELD_NAME,
        "email": USER_SORT_FIELD_EMAIL,
    }
)
_STATUS_NAMES = {number: name for name, number in STATUSES.items()}


def user_document(user: User) -> dict[str, Any]:
    """Return a user as consumers see it."""
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "status": _STATUS_NAMES[user.status],
        "email_verified": user.email_verified,
        "roles": list(user.roles),
        "created_at": rfc3339(user.created_time),
        "updated_at": rfc3339(user.updated_time),
        "last_login_at": rfc3339(user.last_login_time),
    }


def profile_document(profile: UserProfile) -> dict[str, Any]:
    """Return a profile as consumers see it; what is not told is null."""
    return {
        "user_id": profile.user_id,
        "avatar_url": profile.avatar_url or None,
        "bio": profile.bio or None,
        "phone": profile.phone or None,
        "updated_at": rfc3339(profile.updated_time),
    }


def list_users_request(query: Fields) -> ListUsersRequest:
    """Return the request for one page of users."""
    after, before = query.get("created_after"), query.get("created_before")
    status = query.get("status")
    return ListUsersRequest(
        filter=UserFilter(
            status=STATUSES[status] if status else USER_STATUS_UNSPECIFIED,
            role=query.get("role", ""),
            created_after_time=timestamp_from(after) if after else None,
            created_before_time=timestamp_from(before) if before else None,
            search=query.get("search", ""),
        ),
        page=page_request(query),
        sort=SORT_FIELDS[query["sort"]],
    )


def create_user_request(body: Fields, idempotency_key: str) -> CreateUserRequest:
    """Return the request for a new user."""
    status = body.get("status")
    return CreateUserRequest(
        request_id=idempotency_key,
        email=body["email"],
        name=body["name"],
        password=body["password"],
        roles=body.get("roles", []),
        status=STATUSES[status] if status else USER_STATUS_UNSPECIFIED,
    )


def replace_profile_request(
    user_id: str, expected_version: int | None, body: Fields
) -> ReplaceUserProfileRequest:
    """Return the request that sets the given fields of a profile and clears the others."""
    return ReplaceUserProfileRequest(
        user_id=user_id,
        expected_version=expected_version,
        avatar_url=body.get("avatar_url") or "",
        bio=body.get("bio") or "",
        phone=body.get("phone") or "",
    )
