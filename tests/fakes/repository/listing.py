"""Filters, order and pages of a list of users."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import user_pb2, user_repository_pb2
from tier_runtime.timestamps import datetime_from
from tier_runtime.validation import invalid

_Key = tuple[Any, ...]

_KEYS: dict[int, Callable[[user_pb2.User], _Key]] = {
    user_repository_pb2.USER_SORT_FIELD_UNSPECIFIED: lambda user: _time_key(user.created_time),
    user_repository_pb2.USER_SORT_FIELD_CREATED_TIME: lambda user: _time_key(user.created_time),
    user_repository_pb2.USER_SORT_FIELD_UPDATED_TIME: lambda user: _time_key(user.updated_time),
    user_repository_pb2.USER_SORT_FIELD_NAME: lambda user: (user.name.casefold(),),
    user_repository_pb2.USER_SORT_FIELD_EMAIL: lambda user: (user.email.casefold(),),
    user_repository_pb2.USER_SORT_FIELD_ID: lambda user: (),
}


def listed_users(
    users: Iterable[user_pb2.User], request: user_repository_pb2.ListUsersRequest
) -> user_repository_pb2.ListUsersResponse:
    if request.sort not in _KEYS:
        raise invalid({"sort": ["Unknown."]})

    def key(user: user_pb2.User) -> _Key:
        return (*_KEYS[request.sort](user), user.id)

    chosen = sorted(
        (user for user in users if _matches(user, request.filter)),
        key=key,
        reverse=request.page.descending,
    )
    size = request.page.page_size or 10
    digest = _digest(request)
    total = None
    if request.page.cursor:
        last = _position(request.page.cursor, digest)
        after = [
            user
            for user in chosen
            if (key(user) < last if request.page.descending else key(user) > last)
        ]
    else:
        total = len(chosen)
        after = chosen[request.page.page * size :]
    page = after[:size]
    following = _cursor(digest, key(page[-1])) if len(after) > size else ""
    return user_repository_pb2.ListUsersResponse(
        users=page, page=paging_pb2.PageResult(total=total, next_cursor=following)
    )


def _time_key(timestamp: Any) -> _Key:
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


def _digest(request: user_repository_pb2.ListUsersRequest) -> str:
    plain = request.filter.SerializeToString(deterministic=True)
    plain += bytes([request.sort, request.page.descending])
    return hashlib.sha256(plain).hexdigest()[:16]


def _cursor(digest: str, key: _Key) -> str:
    return base64.urlsafe_b64encode(json.dumps([digest, *key]).encode()).decode()


def _position(cursor: str, digest: str) -> _Key:
    try:
        found, *key = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except ValueError as error:
        raise invalid({"cursor": ["Not a cursor."]}) from error
    if found != digest:
        raise invalid({"cursor": ["Of another list."]})
    return tuple(key)
