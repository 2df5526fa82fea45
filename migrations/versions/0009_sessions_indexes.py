"""The sessions of a user, and those that ended lately."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    add_indexes(
        "sessions",
        {
            "ix_sessions_user_id_created_time_id": ["user_id", "created_time", "id"],
            "ix_sessions_ended_time_id": ["ended_time", "id"],
        },
    )
