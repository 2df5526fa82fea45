"""Single users as they are in the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select, update

from arcana.repository.v1 import user_pb2
from repository_tier.conversion import user_from_row
from repository_tier.tables import user_roles, users
from repository_tier.versions import stale
from tier_runtime.errors import AppError, Kind

SYNC_PENDING = "pending"

# All roles of a user, in the user's own row: one statement reads both as they were together.
ROLES = (
    select(func.aggregate_strings(user_roles.c.role, ","))
    .where(user_roles.c.user_id == users.c.id)
    .scalar_subquery()
    .label("roles")
)
USER_COLUMNS = (
    users.c.id,
    users.c.email,
    users.c.name,
    users.c.status,
    users.c.email_verified,
    users.c.version,
    users.c.created_time,
    users.c.updated_time,
    users.c.last_login_time,
    ROLES,
)


def find_user(connection: Connection, condition: ColumnElement[bool]) -> user_pb2.User | None:
    """Return the one user for whom the condition holds."""
    row = connection.execute(select(*USER_COLUMNS).where(condition)).mappings().first()
    return None if row is None else user_from_row(row)


def read_user(connection: Connection, user_id: str) -> user_pb2.User:
    """Return a user.

    Raises:
        AppError: MISSING/USER_NOT_FOUND.
    """
    user = find_user(connection, users.c.id == user_id)
    if user is None:
        raise user_not_found()
    return user


def lock_user(connection: Connection, user_id: str, expected_version: int = 0) -> RowMapping:
    """Lock a user for the rest of the transaction and return its row, without roles.

    Every change of a user begins here, so changes of one user come one after another.

    Raises:
        AppError: MISSING/USER_NOT_FOUND; STALE/PRECONDITION_FAILED, when a version is expected
            and the user has another one.
    """
    row = lock_user_if_any(connection, user_id)
    if row is None:
        raise user_not_found()
    if expected_version and row["version"] != expected_version:
        raise stale()
    return row


def lock_user_if_any(connection: Connection, user_id: str) -> RowMapping | None:
    """Lock a user for the rest of the transaction, if there is one with this id."""
    wanted = select(users).where(users.c.id == user_id).with_for_update()
    return connection.execute(wanted).mappings().first()


def change_user(
    connection: Connection, user_id: str, now: datetime, values: Mapping[str, Any]
) -> None:
    """Write new values of a locked user, as its next version, which waits to be synced."""
    connection.execute(
        update(users)
        .where(users.c.id == user_id)
        .values(version=users.c.version + 1, updated_time=now, sync_status=SYNC_PENDING, **values)
    )


def user_not_found() -> AppError:
    """Return the error of a user who is not there."""
    return AppError(Kind.MISSING, "USER_NOT_FOUND", "There is no such user.")
