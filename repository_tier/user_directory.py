"""Users as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import Connection, Select, exists, or_, select

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import user_pb2, user_repository_pb2
from repository_tier.cache.message_cache import Load, MessageCache
from repository_tier.conversion import credentials_from_row, status_word, user_from_row
from repository_tier.database import Database
from repository_tier.field_checks import FieldChecks
from repository_tier.paging import Order, Page, list_page
from repository_tier.tables import user_roles, users
from repository_tier.text_keys import email_key, folded
from repository_tier.user_rows import USER_COLUMNS, find_users, user_not_found
from tier_runtime.batches import Outcome
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError
from tier_runtime.wire import message_field

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
    if sort not in _SORTS:
        checks = FieldChecks()
        checks.fault("sort", "Not a known value.")
        checks.done()
    column, key_type = _SORTS[sort]
    unique = column.name in ("email_key", "id")
    return Order(column, users.c.id, key_type, descending, unique)


class UserDirectory:
    """Reads users."""

    def __init__(self, database: Database, cache: MessageCache[user_pb2.User]) -> None:
        self._database = database
        self._cache = cache

    def get(self, user_id: str, deadline: Deadline) -> bytes:
        """Return the serialized answer of GetUser, from the cache where it can.

        Raises:
            AppError: MISSING/USER_NOT_FOUND.
        """
        user = self._cache.get(user_id, self._loading(deadline), deadline)
        if user is None:
            raise user_not_found()
        return message_field(1, user)

    def get_many(self, wanted: Sequence[str | AppError], deadline: Deadline) -> Sequence[Outcome]:
        """Return for each user what `get` returns or raises; an error stays what it is.

        Raises:
            AppError: the database cannot be read, and none of the users is in the cache.
        """
        user_ids = dict.fromkeys(one for one in wanted if isinstance(one, str))
        known = self._cache.known(user_ids)
        failure = user_not_found()
        missing = [user_id for user_id in user_ids if user_id not in known]
        if missing:
            try:
                known.update(self._cache.load(missing, self._loading(deadline), deadline))
            except AppError as error:
                if not known:
                    raise
                # Those that are known are answered, as they would be one by one.
                failure = error
        outcomes: dict[str, Outcome] = dict.fromkeys(missing, failure)
        for user_id, entry in known.items():
            found = entry.body
            outcomes[user_id] = user_not_found() if found is None else message_field(1, found)
        return [outcomes[one] if isinstance(one, str) else one for one in wanted]

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
        # Who walks by cursor reads everybody once: the cache holds few of them, and keeping them
        # would push out those whom others ask for.
        if page.cursor:
            return self._listed(wanted, order, page, deadline)
        narrow = dict.fromkeys((users.c.id, users.c.version, order.column))
        rows = _filtered(select(*narrow), wanted)
        found = self._database.read(
            deadline, lambda connection: list_page(connection, rows, order, page, wanted.digest)
        )
        versions = {row["id"]: row["version"] for row in found.rows}
        known = self._cache.known(versions)
        stale = [
            user_id
            for user_id, version in versions.items()
            if user_id not in known or known[user_id].version != version
        ]
        if stale:
            known.update(self._cache.load(stale, self._loading(deadline), deadline))
        bodies = [
            entry.body
            for user_id, version in versions.items()
            if (entry := known[user_id]).body is not None and entry.version == version
        ]
        if len(bodies) < len(versions):
            # One of them has changed since the first statement, and perhaps belongs elsewhere.
            return self._listed(wanted, order, page, deadline)
        return bodies, found.place

    def _listed(
        self, wanted: Filter, order: Order, page: Page, deadline: Deadline
    ) -> tuple[Sequence[bytes], paging_pb2.PageResult]:
        """Return one page by a single statement: all its users are of the same moment."""
        columns = USER_COLUMNS if order.column.name in _SHOWN else (*USER_COLUMNS, order.column)
        rows = _filtered(select(*columns), wanted)

        def work(connection: Connection) -> tuple[Sequence[bytes], paging_pb2.PageResult]:
            found = list_page(connection, rows, order, page, wanted.digest)
            return [user_from_row(row).SerializeToString() for row in found.rows], found.place

        return self._database.read(deadline, work)

    def _loading(self, deadline: Deadline) -> Load[user_pb2.User]:
        return lambda user_ids: self._database.read(
            deadline, lambda connection: find_users(connection, user_ids)
        )


_SHOWN = frozenset(column.name for column in USER_COLUMNS)
# One statement, so that hash, version and status are of the same moment.
_CREDENTIALS = select(*USER_COLUMNS, users.c.password_hash, users.c.credential_version)


def _filtered(rows: Select[tuple[object, ...]], wanted: Filter) -> Select[tuple[object, ...]]:
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
