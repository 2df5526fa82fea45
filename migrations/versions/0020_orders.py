"""The table of orders."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import UtcDateTime, UuidColumn, word

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    create_table(
        "orders",
        sa.Column("id", UuidColumn, nullable=False),
        sa.Column("user_id", UuidColumn, nullable=False),
        sa.Column("status", word(16), nullable=False),
        sa.Column("pricing", word(16), nullable=False),
        sa.Column("currency_code", word(3), nullable=False),
        sa.Column("subtotal_minor", sa.BigInteger, nullable=False),
        sa.Column("discount_minor", sa.BigInteger, nullable=False),
        sa.Column("total_minor", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_time", UtcDateTime, nullable=False),
        sa.Column("updated_time", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
    )
