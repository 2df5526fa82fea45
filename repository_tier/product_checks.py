"""What the fields of a product may be, for whatever message they come in.

Each function returns the value as it is stored, and leaves what is wrong with it to the checks.
"""

from __future__ import annotations

from repository_tier.field_checks import FieldChecks
from repository_tier.stock_changes import MAX_STOCK

MAX_NAME_CHARACTERS = 255
MAX_DESCRIPTION_CHARACTERS = 5000
MAX_CATEGORY_CHARACTERS = 100
MAX_REASON_CHARACTERS = 255
# In hundredths.
MAX_PRICE_MINOR = 10**12


def name_of(checks: FieldChecks, value: str) -> str:
    """Check a display name."""
    return checks.name("name", value, MAX_NAME_CHARACTERS, shortest=1)


def description_of(checks: FieldChecks, value: str) -> str:
    """Check a description, which may be empty."""
    return checks.text("description", value, MAX_DESCRIPTION_CHARACTERS)


def category_of(checks: FieldChecks, value: str) -> str:
    """Check a category, which may be empty."""
    return checks.name("category", value, MAX_CATEGORY_CHARACTERS)


def price_of(checks: FieldChecks, value: int, field: str = "price_minor") -> int:
    """Check the price of one unit."""
    return checks.between(field, value, 0, MAX_PRICE_MINOR)


def stock_of(checks: FieldChecks, value: int) -> int:
    """Check how many units are in stock."""
    return checks.between("stock", value, 0, MAX_STOCK)


def threshold_of(checks: FieldChecks, value: int) -> int:
    """Check at how many units the stock is low."""
    return checks.between("low_stock_threshold", value, 0, MAX_STOCK)


def reason_of(checks: FieldChecks, value: str) -> str:
    """Check the reason of a movement, which may be empty."""
    return checks.name("reason", value, MAX_REASON_CHARACTERS)
