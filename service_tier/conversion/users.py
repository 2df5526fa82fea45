"""Users, profiles, and what is asked about them.

Messages of the same name have the same fields on both boundaries, which a contract test holds, so
they cross by their bytes: it is several times faster than field by field, and forgets no field.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from arcana.repository.v1 import user_pb2 as kept_user_pb2
from arcana.repository.v1 import user_repository_pb2
from arcana.service.v1 import user_pb2, user_service_pb2
from service_tier.usecases.users import WantedUser
from tier_runtime.batches import request_ids_of
from tier_runtime.errors import AppError
from tier_runtime.metadata import actor_of
from tier_runtime.validation import invalid, require

_STATUSES = MappingProxyType(
    {
        user_pb2.USER_STATUS_ACTIVE: kept_user_pb2.USER_STATUS_ACTIVE,
        user_pb2.USER_STATUS_INACTIVE: kept_user_pb2.USER_STATUS_INACTIVE,
        user_pb2.USER_STATUS_SUSPENDED: kept_user_pb2.USER_STATUS_SUSPENDED,
    }
)
_SORT_FIELDS = MappingProxyType(
    {
        user_service_pb2.USER_SORT_FIELD_UNSPECIFIED: (
            user_repository_pb2.USER_SORT_FIELD_CREATED_TIME
        ),
        user_service_pb2.USER_SORT_FIELD_CREATED_TIME: (
            user_repository_pb2.USER_SORT_FIELD_CREATED_TIME
        ),
        user_service_pb2.USER_SORT_FIELD_UPDATED_TIME: (
            user_repository_pb2.USER_SORT_FIELD_UPDATED_TIME
        ),
        user_service_pb2.USER_SORT_FIELD_NAME: user_repository_pb2.USER_SORT_FIELD_NAME,
        user_service_pb2.USER_SORT_FIELD_EMAIL: user_repository_pb2.USER_SORT_FIELD_EMAIL,
    }
)


def user_to_proto(user: kept_user_pb2.User) -> user_pb2.User:
    """Return a user as this tier's contract has it."""
    return user_pb2.User.FromString(user.SerializeToString())


def wanted_from_proto(
    request: user_service_pb2.BatchGetUsersRequest,
) -> list[WantedUser | AppError]:
    """Return the reads of a batch; what is wrong with one of them stands in its place."""
    return [_wanted(item) for item in request.items]


def request_ids_from_proto(request: user_service_pb2.BatchGetUsersRequest) -> list[str]:
    """Return the ids of all requests that a batch is for."""
    return [
        request_id
        for item in request.items
        for request_id in (item.actor.request_id, *item.request_ids)
        if request_id
    ]


def batch_notes(
    wanted: Sequence[WantedUser | AppError], request_ids: Sequence[str]
) -> dict[str, object]:
    """Return what the log is to tell of a batch, whose line names one actor and one request."""
    actors = dict.fromkeys(one.actor.subject for one in wanted if isinstance(one, WantedUser))
    return {"items": len(wanted), "actors": list(actors), **request_ids_of(request_ids)}


def profile_to_proto(profile: kept_user_pb2.UserProfile) -> user_pb2.UserProfile:
    """Return a profile as this tier's contract has it."""
    return user_pb2.UserProfile.FromString(profile.SerializeToString())


def status_from_proto(
    status: user_pb2.UserStatus.ValueType,
) -> kept_user_pb2.UserStatus.ValueType:
    """Return a status as the repository tier has it.

    Raises:
        AppError: INVALID/VALIDATION_FAILED for a number that is no status.
    """
    if status not in _STATUSES:
        raise invalid({"status": ["Not a status."]})
    return _STATUSES[status]


def status_or_active(
    status: user_pb2.UserStatus.ValueType,
) -> kept_user_pb2.UserStatus.ValueType:
    """Return a status as the repository tier has it; not given means active.

    Raises:
        AppError: INVALID/VALIDATION_FAILED for a number that is no status.
    """
    return status_from_proto(status or user_pb2.USER_STATUS_ACTIVE)


def sort_from_proto(
    sort: user_service_pb2.UserSortField.ValueType,
) -> user_repository_pb2.UserSortField.ValueType:
    """Return a sort field as the repository tier has it.

    Raises:
        AppError: INVALID/VALIDATION_FAILED for a number that is no sort field.
    """
    if sort not in _SORT_FIELDS:
        raise invalid({"sort": ["Not a field to sort by."]})
    return _SORT_FIELDS[sort]


def filter_from_proto(user_filter: user_service_pb2.UserFilter) -> user_repository_pb2.UserFilter:
    """Return a filter as the repository tier has it.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, when its status is a number that is none.
    """
    if user_filter.status:
        status_from_proto(user_filter.status)
    return user_repository_pb2.UserFilter.FromString(user_filter.SerializeToString())


def _wanted(item: user_service_pb2.BatchGetUsersItem) -> WantedUser | AppError:
    try:
        require(item, "user_id")
        return WantedUser(actor_of(item.actor), item.user_id, item.actor.request_id)
    except AppError as error:
        return error
