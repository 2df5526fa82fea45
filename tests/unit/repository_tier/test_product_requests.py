"""What this tier refuses of a request about products, whoever sends it."""

from __future__ import annotations

from typing import Any

import pytest

from arcana.repository.v1 import product_repository_pb2 as messages
from repository_tier.servicers.product_requests import (
    new_product_from_proto,
    product_change_from_proto,
)
from tests.fakes.clock import FakeClock
from tests.tier.repository.requests import Requests
from tier_runtime.errors import AppError, Kind

make = Requests(FakeClock())

BAD_VALUES: list[tuple[str, Any]] = [
    ("name", "   "),
    ("name", "x" * 256),
    ("name", "a\x00b"),
    ("description", "x" * 5001),
    ("description", "a\x00b"),
    ("price_minor", -1),
    ("price_minor", 10**12 + 1),
    ("currency_code", "usd"),
    ("currency_code", "USDX"),
    ("currency_code", "ÜSD"),
    ("low_stock_threshold", -1),
    ("low_stock_threshold", 10**9 + 1),
    ("category", "x" * 101),
    ("status", 9),
]


def bad_fields(error: AppError) -> set[str]:
    assert (error.kind, error.code) == (Kind.INVALID, "VALIDATION_FAILED")
    return set(error.field_errors)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *BAD_VALUES,
        ("product_id", "x"),
        ("product_id", "00000000-0000-4000-8000-000000000000"),
        ("name", ""),
        ("currency_code", ""),
        ("stock", -1),
        ("stock", 10**9 + 1),
        ("status", 0),
    ],
)
def test_a_product_that_cannot_be_kept_is_refused(field: str, value: Any) -> None:
    with pytest.raises(AppError) as caught:
        new_product_from_proto(make.product(**{field: value}))
    assert bad_fields(caught.value) == {field}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *BAD_VALUES,
        ("product_id", "x"),
        ("expected_version", -1),
        ("name", ""),
        ("currency_code", ""),
    ],
)
def test_a_change_that_cannot_be_kept_is_refused(field: str, value: Any) -> None:
    fields = {"product_id": make.new_id(), field: value}
    with pytest.raises(AppError) as caught:
        product_change_from_proto(messages.UpdateProductRequest(**fields))
    assert bad_fields(caught.value) == {field}


def test_all_bad_fields_are_named_at_once() -> None:
    request = make.product(product_id="x", name="x" * 300, price_minor=-1, stock=-1)
    with pytest.raises(AppError) as caught:
        new_product_from_proto(request)
    assert bad_fields(caught.value) == {"product_id", "name", "price_minor", "stock"}


def test_only_what_is_given_changes() -> None:
    nothing = messages.UpdateProductRequest(product_id=make.new_id())
    assert product_change_from_proto(nothing).values == {}
    cleared = messages.UpdateProductRequest(
        product_id=make.new_id(), description="", category="", low_stock_threshold=0, price_minor=0
    )
    assert product_change_from_proto(cleared).values == {
        "description": "",
        "category": "",
        "low_stock_threshold": 0,
        "price_minor": 0,
    }
