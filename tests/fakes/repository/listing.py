"""Pages of a list; filters and order of one of users."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from google.protobuf.message import Message

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import user_pb2, user_repository_pb2
from tier_runtime.timestamps import datetime_from
from tier_runtime.validation import invalid

SortKey = tuple[Any, ...]
ThingT = TypeVar("ThingT")

_KEYS: dict[int, Callable[[user_pb2.User], SortKey]] = {
    user_repository_pb2.USER_SORT_FIELD_UNSPECIFIED: lambda user: time_key(user.created_time),
    user_repository_pb2.USER_SORT_FIELD_CREATED_TIME: lambda user: time_key(user.created_time),
    user_repository_pb2.USER_SORT_FIELD_UPDATED_TIME: lambda user: time_key(user.updated_time),
    user_repository_pb2.USER_SORT_FIELD_NAME: lambda user: (user.name.casefold(),),
    user_repository_pb2.USER_SORT_FIELD_EMAIL: lambda user: (user.email.casefold(),),
    user_repository_pb2.USER_SORT_FIELD_ID: lambda user: (),
}


def listed_users(
    users: Iterable[user_pb2.User], request: user_repository_pb2.ListUsersRequest
) -> user_repository_pb2.ListUsersResponse:
    if request.sort not in _KEYS:
        raise invalid({"sort": ["Unknown."]})

    def key(user: user_pb2.User) -> SortKey:
        return (*_KEYS[request.sort](user), user.id)

    found, place = page_of(
        (user for user in users if _matches(user, request.filter)),
        key,
        request.page,
        digest_of(request.filter, request.sort, request.page),
    )
    return user_repository_pb2.ListUsersResponse(users=found, page=place)


def page_of(
    things: Iterable[ThingT],
    key: Callable[[ThingT], SortKey],
    page: paging_pb2.PageRequest,
    digest: str,
) -> tuple[list[ThingT], paging_pb2.PageResult]:
    """Return one page of things, and where it stands; no two of them have the same key."""
    chosen = sorted(things, key=key, reverse=page.descending)
    size = page.page_size or 10
    total = None
    if page.cursor:
        last = _position(page.cursor, digest)
        after = [one for one in chosen if (key(one) < last if page.descending else key(one) > last)]
    else:
        total = len(chosen)
        after = chosen[page.page * size :]
    found = after[:size]
    following = _cursor(digest, key(found[-1])) if len(after) > size else ""
    return found, paging_pb2.PageResult(total=total, next_cursor=following)


def time_key(timestamp: Any) -> SortKey:
    return (timestamp.seconds, timestamp.nanos)


def _matches(user: user_pb2.User, wanted: user_repository_pb2.UserFilter) -> bool:
    created = datetime_from(user.created_time)
    after, before = (
        datetime_from(wanted.created_after_time),
        datetime_from(wanted.created_before_time),
    )
    assert created is not None
    text = wanted.search.casefold()
    return (
        (not wanted.status or user.status == wanted.status)
        and (not wanted.role or wanted.role in user.roles)
        and (after is None or created >= after)
        and (before is None or created < before)
        and (text in user.name.casefold() or text in user.email.casefold())
    )


def digest_of(wanted: Message, sort: int, page: paging_pb2.PageRequest) -> str:
    """Return what tells one list from another."""
    plain = wanted.SerializeToString(deterministic=True) + bytes([sort, page.descending])
    return hashlib.sha256(plain).hexdigest()[:16]


def _cursor(digest: str, key: SortKey) -> str:
    return base64.urlsafe_b64encode(json.dumps([digest, *key]).encode()).decode()


def _position(cursor: str, digest: str) -> SortKey:
    try:
        found, *key = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except ValueError as error:
        raise invalid({"cursor": ["Not a cursor."]}) from error
    if found != digest:
        raise invalid({"cursor": ["Of another list."]})
    return tuple(key)
