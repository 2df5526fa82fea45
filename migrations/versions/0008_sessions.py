"""The table of sessions."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import UtcDateTime, UuidColumn, exact_text

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    create_table(
        "sessions",
        sa.Column("id", UuidColumn, nullable=False),
        sa.Column("user_id", UuidColumn, nullable=False),
        sa.Column("created_time", UtcDateTime, nullable=False),
        sa.Column("refreshed_time", UtcDateTime, nullable=False),
        sa.Column("expire_time", UtcDateTime, nullable=False),
        sa.Column("ended_time", UtcDateTime),
        sa.Column("client_address", exact_text(45), nullable=False),
        sa.Column("user_agent", exact_text(255), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
