"""Single orders as they are in the database, and rows to messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from arcana.repository.v1 import order_pb2
from repository_tier.tables import order_items, orders
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import timestamp_from

CANCELLED = "cancelled"
PENDING = "pending"
ORDER_STATUS_WORDS: Mapping[int, str] = MappingProxyType(
    {
        order_pb2.ORDER_STATUS_PENDING: PENDING,
        order_pb2.ORDER_STATUS_PAID: "paid",
        order_pb2.ORDER_STATUS_SHIPPED: "shipped",
        order_pb2.ORDER_STATUS_DELIVERED: "delivered",
        order_pb2.ORDER_STATUS_CANCELLED: CANCELLED,
    }
)
PRICING_WORDS: Mapping[int, str] = MappingProxyType(
    {
        order_pb2.PRICING_REGULAR: "regular",
        order_pb2.PRICING_BULK: "bulk",
        order_pb2.PRICING_PREMIUM: "premium",
    }
)
_STATUSES: Mapping[str, order_pb2.OrderStatus.ValueType] = MappingProxyType(
    {word: order_pb2.OrderStatus.ValueType(number) for number, word in ORDER_STATUS_WORDS.items()}
)
_PRICINGS: Mapping[str, order_pb2.Pricing.ValueType] = MappingProxyType(
    {word: order_pb2.Pricing.ValueType(number) for number, word in PRICING_WORDS.items()}
)

Row = RowMapping | Mapping[str, Any]


def order_from_rows(row: Row, items: Iterable[Row]) -> order_pb2.Order:
    """Return the order in a row of `orders` and its rows of `order_items`, read or just written."""
    return order_pb2.Order(
        id=row["id"],
        user_id=row["user_id"],
        status=_STATUSES[row["status"]],
        items=[_item_from_row(item) for item in items],
        subtotal_minor=row["subtotal_minor"],
        discount_minor=row["discount_minor"],
        total_minor=row["total_minor"],
        currency_code=row["currency_code"],
        pricing=_PRICINGS[row["pricing"]],
        version=row["version"],
        created_time=timestamp_from(row["created_time"]),
        updated_time=timestamp_from(row["updated_time"]),
    )


def with_items(connection: Connection, rows: Sequence[RowMapping]) -> list[order_pb2.Order]:
    """Return the orders in these rows of `orders`, all their items read by one statement.

    Items are written with their order and never change, so they need not be of one moment.
    """
    items: dict[str, list[RowMapping]] = {row["id"]: [] for row in rows}
    wanted = (
        select(order_items)
        .where(order_items.c.order_id.in_(list(items)))
        .order_by(order_items.c.order_id, order_items.c.line)
    )
    if rows:
        for item in connection.execute(wanted).mappings():
            items[item["order_id"]].append(item)
    return [order_from_rows(row, items[row["id"]]) for row in rows]


def read_order(connection: Connection, order_id: str) -> order_pb2.Order:
    """Return an order with its items.

    Raises:
        AppError: MISSING/ORDER_NOT_FOUND.
    """
    wanted = select(orders).where(orders.c.id == order_id)
    rows = connection.execute(wanted).mappings().all()
    if not rows:
        raise order_not_found()
    return with_items(connection, rows)[0]


def order_not_found() -> AppError:
    """Return the error of an order that is not there."""
    return AppError(Kind.MISSING, "ORDER_NOT_FOUND", "There is no such order.")


def _item_from_row(row: Row) -> order_pb2.OrderItem:
    return order_pb2.OrderItem(
        product_id=row["product_id"],
        name=row["name"],
        quantity=row["quantity"],
        unit_price_minor=row["unit_price_minor"],
        discount_minor=row["discount_minor"],
        line_total_minor=row["line_total_minor"],
    )
