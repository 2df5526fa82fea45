"""The outbox."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import UtcDateTime, UuidColumn, exact_text, word

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    create_table(
        "outbox_events",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            nullable=False,
            autoincrement=True,
        ),
        sa.Column("id", UuidColumn, nullable=False),
        sa.Column("type", word(64), nullable=False),
        sa.Column("aggregate_type", word(64), nullable=False),
        sa.Column("aggregate_id", exact_text(64), nullable=False),
        sa.Column("body", sa.LargeBinary(65535), nullable=False),
        sa.Column("occurred_time", UtcDateTime, nullable=False),
        sa.Column("created_time", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_outbox_events"),
        sa.UniqueConstraint("id", name="uq_outbox_events_id"),
        sqlite_autoincrement=True,
    )
