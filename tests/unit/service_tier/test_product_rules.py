from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_tier.domain.orders import (
    CANCELLABLE,
    OrderStatus,
    WantedLine,
    line_faults,
    status_before,
)
from service_tier.domain.products import (
    MAX_STOCK,
    ProductDetails,
    StockChange,
    normalize_text,
    stock_faults,
)

# E and a combining accent, which is one letter in NFC.
TWO_POINTS = "e\u0301"


def details(**given_fields: str | int) -> ProductDetails:
    nothing = dict.fromkeys(
        ("name", "description", "price_minor", "currency_code", "low_stock_threshold", "category")
    )
    return ProductDetails.normalized(**nothing | given_fields)  # type: ignore[arg-type]


def faulty(**given_fields: str | int) -> set[str]:
    return {field for field, messages in details(**given_fields).faults().items() if messages}


def test_texts_are_kept_without_surrounding_space_in_nfc() -> None:
    kept = details(name=f" {TWO_POINTS} ", description=f"\n{TWO_POINTS}\nb\n", category=TWO_POINTS)
    assert (kept.name, kept.description, kept.category) == ("é", "é\nb", "é")


@given(st.text())
def test_normalizing_a_description_twice_changes_nothing(text: str) -> None:
    once = normalize_text(text)
    assert normalize_text(once) == once
    assert unicodedata.is_normalized("NFC", once)


def test_only_what_is_given_is_told_and_checked() -> None:
    assert details(price_minor=0, category="").given() == {"price_minor": 0, "category": ""}
    assert faulty() == set()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 255),
        ("description", ""),
        ("description", "x" * 5000),
        ("description", "two\nlines\tand a tab"),
        ("price_minor", 10**12),
        ("currency_code", "EUR"),
        ("low_stock_threshold", 0),
        ("low_stock_threshold", MAX_STOCK),
        ("category", ""),
        ("category", TWO_POINTS * 100),
    ],
)
def test_what_a_product_can_be_told_of_is_taken(field: str, value: str | int) -> None:
    assert faulty(**{field: value}) == set()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", " \t "),
        ("name", "x" * 256),
        ("name", "two\nlines"),
        ("description", "x" * 5001),
        ("description", "a\x00b"),
        ("price_minor", -1),
        ("price_minor", 10**12 + 1),
        ("currency_code", ""),
        ("currency_code", "JPY"),
        ("low_stock_threshold", -1),
        ("low_stock_threshold", MAX_STOCK + 1),
        ("category", "x" * 101),
        ("category", "two\nlines"),
    ],
)
def test_what_no_product_can_be_told_of_is_refused(field: str, value: str | int) -> None:
    assert faulty(**{field: value}) == {field}


@pytest.mark.parametrize(("units", "count"), [(0, 0), (MAX_STOCK, 0), (-1, 1), (MAX_STOCK + 1, 1)])
def test_stock_is_from_nothing_to_a_thousand_million(units: int, count: int) -> None:
    assert len(stock_faults(units)) == count


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("p", 1, ""), set()),
        (("p", -MAX_STOCK, f" {'x' * 255} "), set()),
        (("", 1, ""), {"product_id"}),
        (("p", 0, "x" * 256), {"quantity_change", "reason"}),
        (("p", MAX_STOCK + 1, "two\nlines"), {"quantity_change", "reason"}),
        (("p", -MAX_STOCK - 1, ""), {"quantity_change"}),
    ],
)
def test_a_change_of_stock_is_some_units_of_a_product(
    change: tuple[str, int, str], expected: set[str]
) -> None:
    faults = StockChange.normalized(*change).faults()
    assert {field for field, messages in faults.items() if messages} == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], {"items"}),
        ([WantedLine("p", 1)] * 101, {"items"}),
        ([WantedLine("p", 1), WantedLine("p", 1000)] * 50, set()),
        (
            [WantedLine("", 1), WantedLine("p", 0), WantedLine("p", 1001), WantedLine("", -1)],
            {
                "items.0.product_id",
                "items.1.quantity",
                "items.2.quantity",
                "items.3.product_id",
                "items.3.quantity",
            },
        ),
    ],
)
def test_an_order_has_from_1_to_100_lines_of_1_to_1000_units(
    lines: list[WantedLine], expected: set[str]
) -> None:
    assert set(line_faults(lines)) == expected


def test_an_order_goes_one_step_at_a_time_and_is_cancelled_before_it_leaves() -> None:
    steps = {status: status_before(status) for status in OrderStatus}
    assert steps == {
        "pending": None,
        "paid": "pending",
        "shipped": "paid",
        "delivered": "shipped",
        "cancelled": None,
    }
    assert set(CANCELLABLE) == {"pending", "paid"}
