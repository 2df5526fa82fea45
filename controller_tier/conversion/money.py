"""Amounts of money: decimal text at the edge, hundredths as integers everywhere behind it.

No binary fraction stands in between: 0.1 is one tenth here, and 19.999 is refused, not rounded.
"""

from __future__ import annotations

import re
from decimal import Decimal

# The largest amount that is taken, in hundredths.
MAX_MINOR = 1_000_000_000_000

# Of a text: digits, and at most two after the point. An amount has no sign.
AMOUNT = r"[0-9]{1,11}(?:\.[0-9]{1,2})?"

_AMOUNT = re.compile(AMOUNT)
_HUNDREDTH = Decimal("0.01")


def minor_from_text(text: str) -> int:
    """Return the hundredths of an amount such as `19.99`, `19.9` or `20`.

    Raises:
        ValueError: it is not of that form, or more than `MAX_MINOR`.
    """
    if _AMOUNT.fullmatch(text) is None:
        raise ValueError("Not an amount with at most two decimals.")
    return minor_from_decimal(Decimal(text))


def minor_from_decimal(amount: Decimal) -> int:
    """Return the hundredths of an amount.

    Raises:
        ValueError: it is below 0, more than `MAX_MINOR`, or no whole number of hundredths.
    """
    # First the range: an exponent can make of three characters a number of a billion digits.
    if not 0 <= amount <= MAX_MINOR // 100:
        raise ValueError("Not an amount in the range that is taken.")
    rounded = amount.quantize(_HUNDREDTH)
    if rounded != amount:
        raise ValueError("An amount with more than two decimals.")
    return int(rounded.scaleb(2))


def amount_text(minor: int) -> str:
    """Return hundredths as decimal text with two places."""
    return f"{minor // 100}.{minor % 100:02d}"
