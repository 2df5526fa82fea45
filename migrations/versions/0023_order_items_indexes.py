"""In which orders a product is."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    add_indexes("order_items", {"ix_order_items_product_id": ["product_id"]})
