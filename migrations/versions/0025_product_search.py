"""What products are searched by."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import UuidColumn, long_ascii

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    create_table(
        "product_search",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            nullable=False,
            autoincrement=True,
        ),
        sa.Column("product_id", UuidColumn, nullable=False),
        sa.Column("words", long_ascii(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_product_search"),
        sa.UniqueConstraint("product_id", name="uq_product_search_product_id"),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name="fk_product_search_product_id"
        ),
    )
