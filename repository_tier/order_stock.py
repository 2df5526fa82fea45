"""The units of an order: taken out of stock when it is placed, given back when it is cancelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from arcana.repository.v1 import order_pb2, product_pb2
from repository_tier.product_rows import ACTIVE, product_not_found
from repository_tier.stock_changes import (
    MAX_STOCK,
    Movement,
    lock_products,
    move_units,
    shortage,
)
from repository_tier.tables import products
from tier_runtime.errors import AppError, Kind

PLACED = "order_placed"
GIVEN_BACK = "order_cancelled"


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One line of an order about to be placed, as it was priced. Amounts are in hundredths."""

    product_id: str
    quantity: int
    unit_price_minor: int
    discount_minor: int

    @property
    def cost_minor(self) -> int:
        """What the line costs without its discount."""
        return self.quantity * self.unit_price_minor

    @property
    def total_minor(self) -> int:
        """What the line costs."""
        return self.cost_minor - self.discount_minor


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order about to be placed. Lines of one product have one price."""

    id: str
    user_id: str
    lines: Sequence[OrderLine]
    currency_code: str
    pricing: str


def take_units(connection: Connection, order: NewOrder, now: datetime) -> list[Movement]:
    """Take the units of all lines out of stock, and return what was moved.

    A product is sold while it is active and costs what the order was priced by: the statement
    that takes its units looks, so no change of the price can come in between.

    Raises:
        AppError: MISSING/PRODUCT_NOT_FOUND, before STALE/PRECONDITION_FAILED, before
            CONFLICT/INSUFFICIENT_STOCK, whichever product it is. Nothing may be kept then.
    """
    asked = _units(order.lines)
    prices = {line.product_id: line.unit_price_minor for line in order.lines}
    taken: list[Movement] = []
    for product_id in sorted(asked):
        while not move_units(
            connection,
            product_id,
            -asked[product_id],
            now,
            products.c.price_minor == prices[product_id],
            products.c.currency_code == order.currency_code,
            products.c.status == ACTIVE,
        ):
            _raise_reason(connection, order, asked, {one.product_id for one in taken})
        taken.append(Movement(product_id, -asked[product_id], PLACED, order.id))
    return taken


def return_units(connection: Connection, order: order_pb2.Order, now: datetime) -> list[Movement]:
    """Give the units of an order back to the stock, whatever has become of the products.

    Raises:
        AppError: CONFLICT/INVALID_STATE, when there is no room for them.
    """
    returned = []
    for product_id, quantity in sorted(_units(order.items).items()):
        # A product that was sold is never deleted, so there is one reason only.
        if not move_units(connection, product_id, quantity, now):
            raise AppError(
                Kind.CONFLICT,
                "INVALID_STATE",
                f"Product {product_id} would have more than {MAX_STOCK} units in stock.",
                product_id=product_id,
            )
        returned.append(Movement(product_id, quantity, GIVEN_BACK, order.id))
    return returned


def _units(lines: Collection[OrderLine] | Collection[order_pb2.OrderItem]) -> Mapping[str, int]:
    """Return how many units of each product there are in all lines together."""
    units: Counter[str] = Counter()
    for line in lines:
        units[line.product_id] += line.quantity
    return units


def _raise_reason(
    connection: Connection, order: NewOrder, asked: Mapping[str, int], taken: Collection[str]
) -> None:
    """Raise what stands against the order, looking at all of its products.

    What stood against it may be gone by now, but not change again after that: then it returns.
    """
    found = lock_products(connection, asked)
    for line in order.lines:
        product = found.get(line.product_id)
        if product is None or product.status != product_pb2.PRODUCT_STATUS_ACTIVE:
            raise product_not_found(line.product_id)
    for line in order.lines:
        product = found[line.product_id]
        price = (product.price_minor, product.currency_code)
        if price != (line.unit_price_minor, order.currency_code):
            raise AppError(
                Kind.STALE,
                "PRECONDITION_FAILED",
                "The product has another price by now.",
                product_id=line.product_id,
            )
    # What this transaction has taken already is no shortage.
    available = {
        product_id: product.stock + (asked[product_id] if product_id in taken else 0)
        for product_id, product in found.items()
    }
    short = [
        (number, line.product_id)
        for number, line in enumerate(order.lines)
        if available[line.product_id] < asked[line.product_id]
    ]
    if short:
        raise _too_few(short, available, asked)


def _too_few(
    short: Sequence[tuple[int, str]], available: Mapping[str, int], asked: Mapping[str, int]
) -> AppError:
    first = short[0][1]
    return AppError(
        Kind.CONFLICT,
        "INSUFFICIENT_STOCK",
        "There are not enough units in stock.",
        field_errors={
            f"items.{number}.quantity": [
                shortage(product_id, available[product_id], asked[product_id])
            ]
            for number, product_id in short
        },
        product_id=first,
        available=available[first],
    )
