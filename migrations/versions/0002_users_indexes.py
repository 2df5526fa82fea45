"""What users are listed by."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    add_indexes(
        "users",
        {
            "ix_users_created_time_id": ["created_time", "id"],
            "ix_users_updated_time_id": ["updated_time", "id"],
            "ix_users_name_key_id": ["name_key", "id"],
            "ix_users_roles_changed_time_id": ["roles_changed_time", "id"],
        },
    )
