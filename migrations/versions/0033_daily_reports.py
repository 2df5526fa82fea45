"""The reports of days."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import UtcDateTime, large_bytes, word

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    create_table(
        "daily_reports",
        sa.Column("date", word(10), nullable=False),
        sa.Column("body", large_bytes(), nullable=False),
        sa.Column("created_time", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("date", name="pk_daily_reports"),
    )
