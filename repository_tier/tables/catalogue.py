"""Products, what they are searched by, and the ledger of their stock."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table

from repository_tier.column_types import (
    MAX_PRODUCT_NAME_KEY_CHARACTERS,
    UtcDateTime,
    UuidColumn,
    exact_text,
    long_ascii,
    word,
)
from repository_tier.tables.schema import TABLE_OPTIONS, metadata

products = Table(
    "products",
    metadata,
    Column("id", UuidColumn, primary_key=True),
    Column("name", exact_text(255), nullable=False),
    Column("name_key", exact_text(MAX_PRODUCT_NAME_KEY_CHARACTERS), nullable=False),
    Column("description", exact_text(5000), nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("currency_code", word(3), nullable=False),
    Column("stock", BigInteger, nullable=False),
    Column("low_stock_threshold", BigInteger, nullable=False),
    Column("category", exact_text(100), nullable=False),
    Column("status", word(16), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    Column("updated_time", UtcDateTime, nullable=False),
    # The last line of defence: no statement of ours can get here.
    CheckConstraint("stock >= 0", name="stock"),
    # What admins list by, and what everybody else does, who sees one status only.
    Index("ix_products_created_time_id", "created_time", "id"),
    Index("ix_products_updated_time_id", "updated_time", "id"),
    Index("ix_products_name_key_id", "name_key", "id"),
    Index("ix_products_price_minor_id", "price_minor", "id"),
    Index("ix_products_status_created_time_id", "status", "created_time", "id"),
    Index("ix_products_status_updated_time_id", "status", "updated_time", "id"),
    Index("ix_products_status_name_key_id", "status", "name_key", "id"),
    Index("ix_products_status_price_minor_id", "status", "price_minor", "id"),
    Index(
        "ix_products_category_status_created_time_id", "category", "status", "created_time", "id"
    ),
    # By which those that are in stock, or are not, are counted without a look at each of them.
    Index("ix_products_status_stock", "status", "stock"),
    **TABLE_OPTIONS,
)

# What a product is searched by, as `search_words` makes it. A table of its own, so that a change of
# stock touches no full-text index.
product_search = Table(
    "product_search",
    metadata,
    # SQLite's index knows a row by an integer.
    Column(
        "position",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("product_id", UuidColumn, ForeignKey("products.id"), nullable=False, unique=True),
    Column("words", long_ascii(), nullable=False),
    # SQLite has a virtual table in its place, `product_search_index`, which triggers keep in step.
    Index("ix_product_search_words", "words", mysql_prefix="FULLTEXT", mariadb_prefix="FULLTEXT"),
    **TABLE_OPTIONS,
)

# The ledger: the sum of a product's movements is its stock, always. A product's own lie together.
stock_movements = Table(
    "stock_movements",
    metadata,
    Column("product_id", UuidColumn, ForeignKey("products.id"), primary_key=True),
    Column("id", UuidColumn, primary_key=True),
    Column("quantity_change", BigInteger, nullable=False),
    Column("reason", exact_text(255), nullable=False),
    # Null: no order took the units or gave them back.
    Column("order_id", UuidColumn),
    Column("created_time", UtcDateTime, nullable=False),
    **TABLE_OPTIONS,
)
