"""How large a user's files are together: counted in the transactions that change it."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from repository_tier.tables import file_usage
from repository_tier.upserts import insert_new
from tier_runtime.errors import AppError, Kind


def take_room(connection: Connection, user_id: str, size_bytes: int, quota_bytes: int) -> None:
    """Count a new file; others of the same user wait for this transaction's end.

    Raises:
        AppError: CONFLICT/QUOTA_EXCEEDED (metadata `quota_bytes`, `used_bytes`).
    """
    fitting = (
        update(file_usage)
        .where(
            file_usage.c.user_id == user_id,
            file_usage.c.total_bytes <= quota_bytes - size_bytes,
        )
        .values(total_bytes=file_usage.c.total_bytes + size_bytes)
    )
    if connection.execute(fitting).rowcount:
        return
    # The first file of a user, or one too many.
    insert_new(connection, file_usage, {"user_id": user_id, "total_bytes": 0}, key="user_id")
    if connection.execute(fitting).rowcount:
        return
    used = select(file_usage.c.total_bytes).where(file_usage.c.user_id == user_id)
    raise AppError(
        Kind.CONFLICT,
        "QUOTA_EXCEEDED",
        f"All files of a user may have {quota_bytes} bytes together.",
        quota_bytes=quota_bytes,
        used_bytes=connection.execute(used).scalar_one(),
    )


def give_room_back(connection: Connection, user_id: str, size_bytes: int) -> None:
    """Count a file no more."""
    connection.execute(
        update(file_usage)
        .where(file_usage.c.user_id == user_id)
        .values(total_bytes=file_usage.c.total_bytes - size_bytes)
    )
