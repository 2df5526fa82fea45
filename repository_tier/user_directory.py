"""Users as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, or_, select

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import user_pb2, user_repository_pb2
from repository_tier.cache.message_cache import MessageCache
from repository_tier.cached_reads import CachedKind, CachedReads
from repository_tier.conversion import (
    credentials_from_row,
    sort_of,
    status_word,
    user_from_row,
)
from repository_tier.database import Database
from repository_tier.field_checks import FieldChecks
from repository_tier.paging import Order, Page
from repository_tier.tables import user_roles, users
from repository_tier.text_keys import email_key, folded
from repository_tier.totals import Totals
from repository_tier.user_rows import USER_COLUMNS, user_not_found
from tier_runtime.batches import Outcome
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError

_SORTS = MappingProxyType(
    {
        user_repository_pb2.USER_SORT_FIELD_UNSPECIFIED: (users.c.created_time, datetime),
        user_repository_pb2.USER_SORT_FIELD_CREATED_TIME: (users.c.created_time, datetime),
        user_repository_pb2.USER_SORT_FIELD_UPDATED_TIME: (users.c.updated_time, datetime),
        user_repository_pb2.USER_SORT_FIELD_NAME: (users.c.name_key, str),
        user_repository_pb2.USER_SORT_FIELD_EMAIL: (users.c.email_key, str),
        user_repository_pb2.USER_SORT_FIELD_ID: (users.c.id, UUID),
    }
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose credentials are wanted: one of the two is not empty."""

    user_id: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which users are wanted; empty and None mean any. `digest` tells one filter from another."""

    status: str
    role: str
    created_after: datetime | None
    created_before: datetime | None
    search: str
    digest: bytes


def filter_from_proto(message: user_repository_pb2.UserFilter) -> Filter:
    """Check a filter.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks("filter.")
    found = Filter(
        status=status_word(checks, "status", message.status) if message.status else "",
        role=checks.word("role", message.role, 32) if message.role else "",
        created_after=checks.moment("created_after_time", message.created_after_time),
        created_before=checks.moment("created_before_time", message.created_before_time),
        search=checks.name("search", message.search, 255),
        digest=message.SerializeToString(deterministic=True),
    )
    checks.done()
    return found


def order_from_proto(
    sort: user_repository_pb2.UserSortField.ValueType, *, descending: bool
) -> Order:
    """Check a sort field.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    column, key_type = sort_of(_SORTS, sort)
    unique = column.name in ("email_key", "id")
    return Order(column, users.c.id, key_type, descending, unique)


class UserDirectory:
    """Reads users."""

    def __init__(
        self, database: Database, cache: MessageCache[user_pb2.User], totals: Totals
    ) -> None:
        self._database = database
        self._reads = CachedReads(_USERS, database, cache, totals)

    def get(self, user_id: str, deadline: Deadline) -> bytes:
        """Return the serialized answer of GetUser, from the cache where it can.

        Raises:
            AppError: MISSING/USER_NOT_FOUND.
        """
        return self._reads.get(user_id, deadline)

    def get_many(self, wanted: Sequence[str | AppError], deadline: Deadline) -> Sequence[Outcome]:
        """Return for each user what `get` returns or raises; an error stays what it is.

        Raises:
            AppError: the database cannot be read, and none of the users is in the cache.
        """
        return self._reads.get_many(wanted, deadline)

    def credentials(
        self, owner: Owner, deadline: Deadline
    ) -> tuple[user_pb2.Credentials, user_pb2.User]:
        """Return a user's credentials and the user, both as they are now.

        Raises:
            AppError: MISSING/USER_NOT_FOUND.
        """
        if owner.user_id:
            condition = users.c.id == owner.user_id
        else:
            condition = users.c.email_key == email_key(owner.email)
        wanted = _CREDENTIALS.where(condition)
        row = self._database.read(
            deadline, lambda connection: connection.execute(wanted).mappings().first()
        )
        if row is None:
            raise user_not_found()
        return credentials_from_row(row), user_from_row(row)

    def list(
        self, wanted: Filter, order: Order, page: Page, deadline: Deadline
    ) -> tuple[Sequence[bytes], paging_pb2.PageResult]:
        """Return one page of users as serialized messages, each as it is now.

        Raises:
            AppError: INVALID/VALIDATION_FAILED, for a cursor of another list.
        """
        return self._reads.list(
            lambda rows: _filtered(rows, wanted), wanted.digest, order, page, deadline
        )


_USERS = CachedKind(users, USER_COLUMNS, user_from_row, lambda _user_id: user_not_found())
# One statement, so that hash, version and status are of the same moment.
_CREDENTIALS = select(*USER_COLUMNS, users.c.password_hash, users.c.credential_version)


def _filtered(rows: Select[Any], wanted: Filter) -> Select[Any]:
    if wanted.status:
        rows = rows.where(users.c.status == wanted.status)
    if wanted.role:
        rows = rows.where(
            exists().where(user_roles.c.role == wanted.role, user_roles.c.user_id == users.c.id)
        )
    if wanted.created_after is not None:
        rows = rows.where(users.c.created_time >= wanted.created_after)
    if wanted.created_before is not None:
        rows = rows.where(users.c.created_time < wanted.created_before)
    if wanted.search:
        text = folded(wanted.search)
        rows = rows.where(
            or_(
                users.c.name_key.contains(text, autoescape=True),
                users.c.email_key.contains(text, autoescape=True),
            )
        )
    return rows
