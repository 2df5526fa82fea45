"""What can be ordered at once, and how far an order may go from where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tier_runtime.validation import REQUIRED

MAX_LINES = 100
MAX_QUANTITY = 1000


class OrderStatus(StrEnum):
    """How far an order has come."""

    PENDING = "pending"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


# What has left the house does not come back by a click.
CANCELLABLE = (OrderStatus.PENDING, OrderStatus.PAID)

_BEFORE = {
    OrderStatus.PAID: OrderStatus.PENDING,
    OrderStatus.SHIPPED: OrderStatus.PAID,
    OrderStatus.DELIVERED: OrderStatus.SHIPPED,
}


def status_before(status: OrderStatus) -> OrderStatus | None:
    """Return the only status that this one may follow; None when no step leads to it.

    An order begins as pending, and is cancelled in a way of its own.
    """
    return _BEFORE.get(status)


@dataclass(frozen=True, slots=True)
class WantedLine:
    """Units of one product that are to be ordered."""

    product_id: str
    quantity: int


def line_faults(lines: Sequence[WantedLine]) -> dict[str, list[str]]:
    """Return what is wrong with the lines of an order, by field path."""
    if not lines:
        return {"items": [REQUIRED]}
    if len(lines) > MAX_LINES:
        return {"items": [f"More than {MAX_LINES}."]}
    faults = {}
    for number, line in enumerate(lines):
        if not line.product_id:
            faults[f"items.{number}.product_id"] = [REQUIRED]
        if not 1 <= line.quantity <= MAX_QUANTITY:
            faults[f"items.{number}.quantity"] = [f"Must be 1 to {MAX_QUANTITY}."]
    return faults
