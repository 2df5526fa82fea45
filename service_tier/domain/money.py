"""Money: whole hundredths of a currency that has them, so that nothing is ever rounded unseen."""

from __future__ import annotations

from iso4217 import Currency

DEFAULT_CURRENCY = "USD"
MAX_PRICE_MINOR = 1_000_000_000_000

_WITH_HUNDREDTHS = frozenset(currency.code for currency in Currency if currency.exponent == 2)


def currency_faults(code: str) -> list[str]:
    """Return what is wrong with an ISO 4217 code, which is written in upper case."""
    if code not in _WITH_HUNDREDTHS:
        return ["Not the ISO 4217 code of a currency with two decimal places, such as USD."]
    return []


def price_faults(minor: int) -> list[str]:
    """Return what is wrong with the price of one unit, in hundredths."""
    if not 0 <= minor <= MAX_PRICE_MINOR:
        return [f"Must be 0 to {MAX_PRICE_MINOR} hundredths."]
    return []


def amount_text(minor: int) -> str:
    """Return hundredths, 0 or more, as decimal text with two places."""
    return f"{minor // 100}.{minor % 100:02d}"
