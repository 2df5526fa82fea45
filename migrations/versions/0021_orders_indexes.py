"""What orders are listed by."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    add_indexes(
        "orders",
        {
            "ix_orders_created_time_id": ["created_time", "id"],
            "ix_orders_updated_time_id": ["updated_time", "id"],
            "ix_orders_status_created_time_id": ["status", "created_time", "id"],
            "ix_orders_status_updated_time_id": ["status", "updated_time", "id"],
            "ix_orders_user_id_created_time_id": ["user_id", "created_time", "id"],
        },
    )
