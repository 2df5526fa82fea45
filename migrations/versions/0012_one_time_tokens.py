"""The table of one-time tokens."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import Sha256Column, UtcDateTime, UuidColumn, word

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    create_table(
        "one_time_tokens",
        sa.Column("id", UuidColumn, nullable=False),
        sa.Column("token_sha256", Sha256Column, nullable=False),
        sa.Column("purpose", word(32), nullable=False),
        sa.Column("user_id", UuidColumn),
        sa.Column("created_time", UtcDateTime, nullable=False),
        sa.Column("expire_time", UtcDateTime, nullable=False),
        sa.Column("used_time", UtcDateTime),
        sa.PrimaryKeyConstraint("id", name="pk_one_time_tokens"),
        sa.UniqueConstraint("token_sha256", name="uq_one_time_tokens_token_sha256"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_one_time_tokens_user_id", ondelete="CASCADE"
        ),
    )
