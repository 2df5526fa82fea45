"""There is always an active admin."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from repository_tier.conversion import ACTIVE
from repository_tier.tables import roles, user_roles, users
from tier_runtime.errors import AppError, Kind

ADMIN = "admin"


def lock_admins(connection: Connection) -> None:
    """Let no other transaction take an admin away until this one ends.

    Comes before any lock on a user, in every transaction that needs both: two admins that
    remove each other then meet here, and the second one counts what the first has left.
    """
    connection.execute(select(roles.c.name).where(roles.c.name == ADMIN).with_for_update())


def require_other_admin(connection: Connection, user_id: str) -> None:
    """Check that this user is not the last active admin. Needs `lock_admins`.

    Raises:
        AppError: CONFLICT/INVALID_STATE.
    """
    admins = (
        select(users.c.id)
        .join(user_roles, user_roles.c.user_id == users.c.id)
        .where(user_roles.c.role == ADMIN, users.c.status == ACTIVE)
    )
    is_admin = connection.scalar(admins.where(users.c.id == user_id)) is not None
    if is_admin and not connection.scalar(
        select(func.count()).select_from(admins.where(users.c.id != user_id).limit(1).subquery())
    ):
        raise AppError(Kind.CONFLICT, "INVALID_STATE", "The last active admin must stay.")
