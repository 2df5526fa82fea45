"""How many products are in stock, and how many are not."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    add_indexes("products", {"ix_products_status_stock": ["status", "stock"]})
