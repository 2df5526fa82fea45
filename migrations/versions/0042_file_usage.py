"""The table of how large each user's files are together."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import UuidColumn

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    create_table(
        "file_usage",
        sa.Column("user_id", UuidColumn, nullable=False),
        sa.Column("total_bytes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_file_usage"),
        sa.CheckConstraint("total_bytes >= 0", name="ck_file_usage_total_bytes"),
    )
