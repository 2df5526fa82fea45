"""What a shop must be like after each request, told in memory by the words of the contract.

Amounts are decimals here and rounded by the rule of the contract, not by the service tier's code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
NEXT_STATUS = {"pending": "paid", "paid": "shipped", "shipped": "delivered"}
CANCELLABLE = frozenset({"pending", "paid"})
BULK_QUANTITY = 10


def money(amount: Decimal) -> str:
    """Give an amount as the edge writes it."""
    return str(amount.quantize(CENT))


@dataclass
class ModelProduct:
    """A product, and every movement of its stock in the order in which they happened."""

    id: str
    name: str
    price: Decimal
    status: str
    category: str
    stock: int = 0
    version: int = 1
    movements: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.stock:
            self.movements.append(self.stock)

    def move(self, change: int) -> bool:
        """Change the stock, unless it would go below zero."""
        if self.stock + change < 0:
            return False
        self.stock += change
        self.version += 1
        self.movements.append(change)
        return True

    def document(self) -> dict[str, object]:
        """Give what the edge must show of it, less what only the server can know."""
        return {
            "id": self.id,
            "name": self.name,
            "price": money(self.price),
            "currency": "USD",
            "stock": self.stock,
            "category": self.category,
            "status": self.status,
        }


@dataclass
class ModelOrder:
    """An order as it was placed, and how far it has come."""

    id: str
    owner: str
    items: Sequence[tuple[ModelProduct, int]]
    status: str = "pending"

    def units(self) -> Counter[str]:
        """Count the units of each product."""
        units: Counter[str] = Counter()
        for product, quantity in self.items:
            units[product.id] += quantity
        return units


def order_amounts(
    items: Sequence[tuple[ModelProduct, int]], *, premium: bool
) -> dict[str, str | list[tuple[str, str, str]]]:
    """Give what an order placed now must cost: in all, and unit price, discount, total by line."""
    if premium:
        pricing = "premium"
    else:
        pricing = "bulk" if any(q >= BULK_QUANTITY for _, q in items) else "regular"
    subtotal = discount = Decimal(0)
    lines = []
    for product, quantity in items:
        gross = product.price * quantity
        share = Decimal(0)
        if pricing == "premium":
            share = Decimal("0.15")
        elif pricing == "bulk" and quantity >= BULK_QUANTITY:
            share = Decimal("0.10")
        off = (gross * share).quantize(CENT, ROUND_HALF_UP)
        lines.append((money(product.price), money(off), money(gross - off)))
        subtotal, discount = subtotal + gross, discount + off
    return {
        "pricing": pricing,
        "subtotal": money(subtotal),
        "discount": money(discount),
        "total": money(subtotal - discount),
        "lines": lines,
    }
