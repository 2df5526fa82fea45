"""The table of refresh tokens."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import Sha256Column, UtcDateTime, UuidColumn

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    create_table(
        "refresh_tokens",
        sa.Column("token_sha256", Sha256Column, nullable=False),
        sa.Column("session_id", UuidColumn, nullable=False),
        sa.Column("created_time", UtcDateTime, nullable=False),
        sa.Column("expire_time", UtcDateTime, nullable=False),
        sa.Column("used_time", UtcDateTime),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_refresh_tokens"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_refresh_tokens_session_id", ondelete="CASCADE"
        ),
    )
