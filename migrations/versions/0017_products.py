"""The table of products."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import UtcDateTime, UuidColumn, exact_text, word

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    create_table(
        "products",
        sa.Column("id", UuidColumn, nullable=False),
        sa.Column("name", exact_text(255), nullable=False),
        sa.Column("name_key", exact_text(512), nullable=False),
        sa.Column("description", exact_text(5000), nullable=False),
        sa.Column("price_minor", sa.BigInteger, nullable=False),
        sa.Column("currency_code", word(3), nullable=False),
        sa.Column("stock", sa.BigInteger, nullable=False),
        sa.Column("low_stock_threshold", sa.BigInteger, nullable=False),
        sa.Column("category", exact_text(100), nullable=False),
        sa.Column("status", word(16), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_time", UtcDateTime, nullable=False),
        sa.Column("updated_time", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_products"),
        sa.CheckConstraint("stock >= 0", name="ck_products_stock"),
    )
