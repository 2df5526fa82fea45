"""Amounts of money: exact, or refused."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller_tier.conversion.money import (
    MAX_MINOR,
    amount_text,
    minor_from_decimal,
    minor_from_text,
)
from controller_tier.json_body import parse_json

amounts = st.integers(min_value=0, max_value=MAX_MINOR)


@given(minor=amounts)
def test_what_goes_out_comes_in_again_as_a_text_and_as_a_number(minor: int) -> None:
    text = amount_text(minor)
    assert re.fullmatch(r"[0-9]+\.[0-9]{2}", text)
    assert minor_from_text(text) == minor
    assert minor_from_decimal(parse_json(f"[{text}]".encode())[0]) == minor


@given(amount=st.decimals(allow_nan=False, allow_infinity=False))
def test_a_number_is_taken_exactly_or_not_at_all(amount: Decimal) -> None:
    try:
        minor = minor_from_decimal(amount)
    except ValueError:
        return
    assert Decimal(minor) / 100 == amount
    assert 0 <= minor <= MAX_MINOR


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("0", 0),
        ("0.1", 10),
        ("19.99", 1999),
        ("19.9", 1990),
        ("020.00", 2000),
        ("10000000000.00", MAX_MINOR),
    ],
)
def test_a_text_has_at_most_two_decimals(text: str, minor: int) -> None:
    assert minor_from_text(text) == minor


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "1.", ".5", "19.999", "19.990", "-1", "-0", "+1", " 1", "1\n", "1e2", "1_0"),
        *("NaN", "Infinity", "1,50", "\u0661", "0x10", "10000000000.01", "9" * 12),
    ],
)
def test_a_text_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="mount"):
        minor_from_text(text)


@pytest.mark.parametrize(
    ("number", "minor"),
    [
        ("20", 2000),
        ("19.990", 1999),
        ("1e2", 10_000),
        ("1E-2", 1),
        ("-0.0", 0),
        ("1e10", MAX_MINOR),
    ],
)
def test_a_number_counts_by_its_value(number: str, minor: int) -> None:
    assert minor_from_decimal(Decimal(number)) == minor


@pytest.mark.parametrize(
    "number",
    [
        *("19.999", "-0.01", "10000000000.01", "1e308", "1e-400", "1e999999999"),
        # More digits than a decimal context keeps by default.
        "19.99" + "0" * 40 + "1",
    ],
)
def test_a_number_that_is_no_amount_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="mount"):
        minor_from_decimal(Decimal(number))
