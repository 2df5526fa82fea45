"""What a product may be called, and what may be told of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TypeVar

from service_tier.domain.money import currency_faults, price_faults
from service_tier.domain.names import line_faults, name_faults, normalize_name
from tier_runtime.validation import REQUIRED

MAX_DESCRIPTION_LENGTH = 5000
MAX_CATEGORY_LENGTH = 100
MAX_REASON_LENGTH = 255
MAX_STOCK = 1_000_000_000

ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class ProductDetails:
    """What can be given of a product, normalized; None is not given."""

    name: str | None = None
    description: str | None = None
    price_minor: int | None = None
    currency_code: str | None = None
    low_stock_threshold: int | None = None
    category: str | None = None

    @classmethod
    def normalized(
        cls,
        *,
        name: str | None,
        description: str | None,
        price_minor: int | None,
        currency_code: str | None,
        low_stock_threshold: int | None,
        category: str | None,
    ) -> ProductDetails:
        """Return the details as they are kept: texts without surrounding space, in Unicode NFC."""
        return cls(
            name=normalize_name(name) if name is not None else None,
            description=normalize_text(description) if description is not None else None,
            price_minor=price_minor,
            currency_code=currency_code,
            low_stock_threshold=low_stock_threshold,
            category=normalize_name(category) if category is not None else None,
        )

    def faults(self) -> dict[str, list[str]]:
        """Return what is wrong with each field that is given."""
        return {
            "name": _faults(name_faults, self.name),
            "description": _faults(description_faults, self.description),
            "price_minor": _faults(price_faults, self.price_minor),
            "currency_code": _faults(currency_faults, self.currency_code),
            "low_stock_threshold": _faults(stock_faults, self.low_stock_threshold),
            "category": _faults(category_faults, self.category),
        }

    def given(self) -> dict[str, str | int]:
        """Return the fields that are given, by their names."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def _faults(check: Callable[[ValueT], list[str]], value: ValueT | None) -> list[str]:
    return check(value) if value is not None else []


def normalize_text(text: str) -> str:
    """Return a text of several lines as it is kept: without surrounding space, in Unicode NFC."""
    return unicodedata.normalize("NFC", text.strip())


def description_faults(description: str) -> list[str]:
    """Return what is wrong with a normalized description, which may be empty."""
    if len(description) > MAX_DESCRIPTION_LENGTH:
        return [f"Longer than {MAX_DESCRIPTION_LENGTH} characters."]
    if "\x00" in description:
        return ["Must not hold the character NUL."]
    return []


def category_faults(category: str) -> list[str]:
    """Return what is wrong with a normalized category, which may be empty."""
    if len(category) > MAX_CATEGORY_LENGTH:
        return [f"Longer than {MAX_CATEGORY_LENGTH} characters."]
    return line_faults(category)


def stock_faults(units: int) -> list[str]:
    """Return what is wrong with a number of units in stock, or with a threshold for it."""
    if not 0 <= units <= MAX_STOCK:
        return [f"Must be 0 to {MAX_STOCK}."]
    return []


@dataclass(frozen=True, slots=True)
class StockChange:
    """Units that come or go, and why; the reason normalized, empty when it is not told."""

    product_id: str
    quantity_change: int
    reason: str

    @classmethod
    def normalized(cls, product_id: str, quantity_change: int, reason: str) -> StockChange:
        """Return the change as it is kept."""
        return cls(product_id, quantity_change, normalize_name(reason))

    def faults(self) -> dict[str, list[str]]:
        """Return what is wrong with each field."""
        return {
            "product_id": [] if self.product_id else [REQUIRED],
            "quantity_change": _change_faults(self.quantity_change),
            "reason": _reason_faults(self.reason),
        }


def _change_faults(units: int) -> list[str]:
    if units == 0 or abs(units) > MAX_STOCK:
        return [f"Must be -{MAX_STOCK} to {MAX_STOCK}, and not 0."]
    return []


def _reason_faults(reason: str) -> list[str]:
    if len(reason) > MAX_REASON_LENGTH:
        return [f"Longer than {MAX_REASON_LENGTH} characters."]
    return line_faults(reason)
