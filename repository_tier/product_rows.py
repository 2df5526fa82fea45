"""Single products as they are in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sqlalchemy import Connection, RowMapping, select

from arcana.repository.v1 import product_pb2
from repository_tier.tables import products
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import timestamp_from

ACTIVE = "active"
PRODUCT_STATUS_WORDS: Mapping[int, str] = MappingProxyType(
    {
        product_pb2.PRODUCT_STATUS_DRAFT: "draft",
        product_pb2.PRODUCT_STATUS_ACTIVE: ACTIVE,
        product_pb2.PRODUCT_STATUS_INACTIVE: "inactive",
        product_pb2.PRODUCT_STATUS_ARCHIVED: "archived",
    }
)
_STATUSES: Mapping[str, product_pb2.ProductStatus.ValueType] = MappingProxyType(
    {word: product_pb2.ProductStatus.ValueType(n) for n, word in PRODUCT_STATUS_WORDS.items()}
)

# All that a message holds, which is less than a row.
PRODUCT_COLUMNS = (
    products.c.id,
    products.c.name,
    products.c.description,
    products.c.price_minor,
    products.c.currency_code,
    products.c.stock,
    products.c.low_stock_threshold,
    products.c.category,
    products.c.status,
    products.c.version,
    products.c.created_time,
    products.c.updated_time,
)


def product_from_row(row: RowMapping) -> product_pb2.Product:
    """Return the product in a row of `PRODUCT_COLUMNS`."""
    return product_pb2.Product(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        price_minor=row["price_minor"],
        currency_code=row["currency_code"],
        stock=row["stock"],
        low_stock_threshold=row["low_stock_threshold"],
        category=row["category"],
        status=_STATUSES[row["status"]],
        version=row["version"],
        created_time=timestamp_from(row["created_time"]),
        updated_time=timestamp_from(row["updated_time"]),
    )


def find_products(connection: Connection, product_ids: Sequence[str]) -> list[product_pb2.Product]:
    """Return those of these products that there are, in no order."""
    wanted = select(*PRODUCT_COLUMNS).where(products.c.id.in_(product_ids))
    return [product_from_row(row) for row in connection.execute(wanted).mappings()]


def read_product(connection: Connection, product_id: str) -> product_pb2.Product:
    """Return a product.

    Raises:
        AppError: MISSING/PRODUCT_NOT_FOUND.
    """
    found = find_products(connection, [product_id])
    if not found:
        raise product_not_found(product_id)
    return found[0]


def product_not_found(product_id: str) -> AppError:
    """Return the error of a product that is not there, or cannot be ordered."""
    return AppError(
        Kind.MISSING, "PRODUCT_NOT_FOUND", "There is no such product.", product_id=product_id
    )
