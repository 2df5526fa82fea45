"""What each group has still to settle where there is no Redis."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import UtcDateTime, exact_text, word

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    create_table(
        "event_deliveries",
        sa.Column("group_name", word(32), nullable=False),
        sa.Column("is_dead", sa.Boolean, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("due_time", UtcDateTime, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", exact_text(500), nullable=False),
        sa.PrimaryKeyConstraint("group_name", "is_dead", "position", name="pk_event_deliveries"),
    )
