"""Orders and their lines."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table

from repository_tier.column_types import UtcDateTime, UuidColumn, exact_text, word
from repository_tier.tables.schema import TABLE_OPTIONS, metadata

# An order outlives the user who placed it: so no foreign key.
orders = Table(
    "orders",
    metadata,
    Column("id", UuidColumn, primary_key=True),
    Column("user_id", UuidColumn, nullable=False),
    Column("status", word(16), nullable=False),
    Column("pricing", word(16), nullable=False),
    Column("currency_code", word(3), nullable=False),
    Column("subtotal_minor", BigInteger, nullable=False),
    Column("discount_minor", BigInteger, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    Column("updated_time", UtcDateTime, nullable=False),
    Index("ix_orders_created_time_id", "created_time", "id"),
    Index("ix_orders_updated_time_id", "updated_time", "id"),
    Index("ix_orders_status_created_time_id", "status", "created_time", "id"),
    Index("ix_orders_status_updated_time_id", "status", "updated_time", "id"),
    Index("ix_orders_user_id_created_time_id", "user_id", "created_time", "id"),
    **TABLE_OPTIONS,
)

# Name and price as they were when the product was sold.
order_items = Table(
    "order_items",
    metadata,
    Column("order_id", UuidColumn, ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True),
    # Its place in the order, from 0.
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("product_id", UuidColumn, ForeignKey("products.id"), nullable=False),
    Column("name", exact_text(255), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price_minor", BigInteger, nullable=False),
    Column("discount_minor", BigInteger, nullable=False),
    Column("line_total_minor", BigInteger, nullable=False),
    Index("ix_order_items_product_id", "product_id"),
    **TABLE_OPTIONS,
)
