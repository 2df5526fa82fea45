"""Which products a list or a search is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select

from arcana.repository.v1 import product_repository_pb2
from repository_tier.conversion import enum_word
from repository_tier.field_checks import FieldChecks
from repository_tier.product_checks import category_of
from repository_tier.product_rows import PRODUCT_STATUS_WORDS
from repository_tier.tables import products


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """Which products are wanted; empty and None mean any. `digest` tells one filter from another.

    Prices are in hundredths.
    """

    status: str
    category: str
    min_price: int | None
    max_price: int | None
    in_stock: bool | None
    digest: bytes

    def may_be_rare(self) -> bool:
        """True when few products may be wanted, and nothing that they are sorted by tells which."""
        return self.has_price_range() or self.in_stock is False

    def has_price_range(self) -> bool:
        """True when a price is too low or too high."""
        return self.min_price is not None or self.max_price is not None


def product_filter_from_proto(message: product_repository_pb2.ProductFilter) -> ProductFilter:
    """Check a filter.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks("filter.")
    status = message.status
    found = ProductFilter(
        status=enum_word(PRODUCT_STATUS_WORDS, checks, "status", status) if status else "",
        category=category_of(checks, message.category),
        min_price=message.min_price_minor if message.HasField("min_price_minor") else None,
        max_price=message.max_price_minor if message.HasField("max_price_minor") else None,
        in_stock=message.in_stock if message.HasField("in_stock") else None,
        digest=message.SerializeToString(deterministic=True),
    )
    checks.done()
    return found


def fixed_columns(wanted: ProductFilter) -> list[ColumnElement[Any]]:
    """Return the columns that have one value in all products that are wanted."""
    fixed: list[ColumnElement[Any]] = []
    if wanted.status:
        fixed.append(products.c.status)
    if wanted.category:
        fixed.append(products.c.category)
    return fixed


def filtered(rows: Select[Any], wanted: ProductFilter) -> Select[Any]:
    """Return those of the rows, which are of products, that are wanted."""
    if wanted.status:
        rows = rows.where(products.c.status == wanted.status)
    if wanted.category:
        rows = rows.where(products.c.category == wanted.category)
    if wanted.min_price is not None:
        rows = rows.where(products.c.price_minor >= wanted.min_price)
    if wanted.max_price is not None:
        rows = rows.where(products.c.price_minor <= wanted.max_price)
    if wanted.in_stock is not None:
        rows = rows.where(products.c.stock > 0 if wanted.in_stock else products.c.stock == 0)
    return rows
