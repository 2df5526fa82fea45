"""What an order costs: the one place where discounts are decided.

All amounts are whole hundredths of one currency. A strategy is chosen by who orders and how much,
and by nothing else; prices are those of the products.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from service_tier.domain.roles import PREMIUM


class Pricing(StrEnum):
    """The names of the strategies."""

    REGULAR = "regular"
    BULK = "bulk"
    PREMIUM = "premium"


@dataclass(frozen=True, slots=True)
class Line:
    """Units of one product, at what one of them costs now."""

    product_id: str
    quantity: int
    unit_price_minor: int

    @property
    def gross_minor(self) -> int:
        """What the line costs without discount."""
        return self.quantity * self.unit_price_minor


@dataclass(frozen=True, slots=True)
class Strategy:
    """Takes so many per cent off each line that has enough units."""

    pricing: Pricing
    percent: int
    least_quantity: int = 1

    def discount_minor(self, line: Line) -> int:
        """Return what is taken off a line, rounded half up to the hundredth."""
        if line.quantity < self.least_quantity:
            return 0
        return (line.gross_minor * self.percent + 50) // 100


_REGULAR = Strategy(Pricing.REGULAR, percent=0)
_BULK = Strategy(Pricing.BULK, percent=10, least_quantity=10)
_PREMIUM = Strategy(Pricing.PREMIUM, percent=15)


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line, and what is taken off it."""

    line: Line
    discount_minor: int

    @property
    def total_minor(self) -> int:
        """What is to be paid for it."""
        return self.line.gross_minor - self.discount_minor


@dataclass(frozen=True, slots=True)
class PricedOrder:
    """Lines with their discounts, and the strategy that gave them."""

    pricing: Pricing
    lines: tuple[PricedLine, ...]

    @property
    def subtotal_minor(self) -> int:
        """What the lines cost without discount."""
        return sum(priced.line.gross_minor for priced in self.lines)

    @property
    def discount_minor(self) -> int:
        """What is taken off."""
        return sum(priced.discount_minor for priced in self.lines)

    @property
    def total_minor(self) -> int:
        """What is to be paid."""
        return sum(priced.total_minor for priced in self.lines)


def strategy_for(roles: Collection[str], quantities: Collection[int]) -> Strategy:
    """Return the strategy for one who has these roles and orders lines of these quantities."""
    if PREMIUM in roles:
        return _PREMIUM
    if any(quantity >= _BULK.least_quantity for quantity in quantities):
        return _BULK
    return _REGULAR


def priced(lines: Sequence[Line], roles: Collection[str]) -> PricedOrder:
    """Return what these lines cost one who has these roles."""
    strategy = strategy_for(roles, [line.quantity for line in lines])
    return PricedOrder(
        strategy.pricing,
        tuple(PricedLine(line, strategy.discount_minor(line)) for line in lines),
    )
