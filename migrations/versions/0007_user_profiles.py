"""The table of profiles."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import UtcDateTime, UuidColumn, exact_text

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    create_table(
        "user_profiles",
        sa.Column("user_id", UuidColumn, nullable=False),
        sa.Column("avatar_url", exact_text(500), nullable=False),
        sa.Column("bio", exact_text(1000), nullable=False),
        sa.Column("phone", exact_text(16), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("updated_time", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_user_profiles"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_user_profiles_user_id", ondelete="CASCADE"
        ),
    )
