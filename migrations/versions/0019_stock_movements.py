"""The ledger of stock."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import UtcDateTime, UuidColumn, exact_text

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    create_table(
        "stock_movements",
        sa.Column("product_id", UuidColumn, nullable=False),
        sa.Column("id", UuidColumn, nullable=False),
        sa.Column("quantity_change", sa.BigInteger, nullable=False),
        sa.Column("reason", exact_text(255), nullable=False),
        sa.Column("order_id", UuidColumn),
        sa.Column("created_time", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("product_id", "id", name="pk_stock_movements"),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name="fk_stock_movements_product_id"
        ),
    )
