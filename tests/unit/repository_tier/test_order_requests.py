"""Requests of OrderRepository that make no sense are refused, field by field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from arcana.repository.v1 import order_pb2
from arcana.repository.v1 import order_repository_pb2 as messages
from repository_tier.order_stock import NewOrder
from repository_tier.servicers import order_requests as requests
from tests.fakes.clock import FakeClock
from tests.tier.repository.requests import Requests
from tier_runtime.errors import AppError, Kind

PENDING, PAID = order_pb2.ORDER_STATUS_PENDING, order_pb2.ORDER_STATUS_PAID
CANCELLED = order_pb2.ORDER_STATUS_CANCELLED


@pytest.fixture
def make() -> Requests:
    return Requests(FakeClock())


def bad_fields(check: Callable[[Any], object], request: object) -> set[str]:
    with pytest.raises(AppError) as caught:
        check(request)
    assert (caught.value.kind, caught.value.code) == (Kind.INVALID, "VALIDATION_FAILED")
    return set(caught.value.field_errors)


def carried_on(order_id: str, **fields: Any) -> messages.UpdateOrderStatusRequest:
    values: dict[str, Any] = {"order_id": order_id, "allowed_statuses": [PENDING], "status": PAID}
    return messages.UpdateOrderStatusRequest(**values | fields)


def test_an_order_that_adds_up_is_taken_as_it_is(make: Requests) -> None:
    product_id = make.new_id()
    # The dearest order that there can be.
    lines = [make.line(product_id, 1000, unit_price_minor=10**12, discount_minor=10**15)] * 50
    lines += [make.line(product_id, 1000, unit_price_minor=10**12)] * 50
    request = make.order(*lines, user_id=make.new_id().upper())
    order = requests.new_order_from_proto(request)
    assert order == NewOrder(
        id=request.order_id,
        user_id=request.user_id.lower(),
        lines=order.lines,
        currency_code="USD",
        pricing="regular",
    )
    assert sum(line.total_minor for line in order.lines) == 50 * 10**15 == request.total_minor


def test_more_than_a_hundred_lines_are_no_order(make: Requests) -> None:
    request = make.order(*[make.line(make.new_id())] * 101)
    assert bad_fields(requests.new_order_from_proto, request) == {"items"}


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"order_id": "00000000-0000-4000-8000-000000000000"}, "order_id"),
        ({"user_id": "x"}, "user_id"),
        ({"currency_code": "usd"}, "currency_code"),
        ({"currency_code": "USDT"}, "currency_code"),
        ({"pricing": 0}, "pricing"),
        ({"pricing": 9}, "pricing"),
        ({"total_minor": 1999}, "total_minor"),
        ({"total_minor": 2001}, "total_minor"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(
    make: Requests, fields: dict[str, Any], bad: str
) -> None:
    request = make.order(make.line(make.new_id(), 2), **fields)
    assert bad_fields(requests.new_order_from_proto, request) == {bad}


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"product_id": "x"}, "product_id"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": 1001}, "quantity"),
        (
            {"unit_price_minor": -1, "product_id": "01a22c57-0a4b-77fb-8f5c-b49b59015d4a"},
            "unit_price_minor",
        ),
        (
            {"unit_price_minor": 10**12 + 1, "product_id": "01a22c57-0a4b-77fb-8f5c-b49b59015d4a"},
            "unit_price_minor",
        ),
        ({"discount_minor": -1}, "discount_minor"),
        ({"quantity": 2, "discount_minor": 2001}, "discount_minor"),
        # Two lines of one product, two prices.
        ({"unit_price_minor": 999}, "unit_price_minor"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(
    make: Requests, fields: dict[str, Any], bad: str
) -> None:
    product_id = make.new_id()
    line = make.line(**{"product_id": product_id, **fields})
    request = make.order(make.line(product_id), line)
    assert bad_fields(requests.new_order_from_proto, request) == {f"items.1.{bad}"}


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"order_id": "x"}, "order_id"),
        ({"allowed_statuses": []}, "allowed_statuses"),
        ({"allowed_statuses": [PENDING, CANCELLED]}, "allowed_statuses"),
        ({"allowed_statuses": [0]}, "allowed_statuses"),
        ({"status": 0}, "status"),
        ({"status": 9}, "status"),
        ({"status": CANCELLED}, "status"),
        ({"expected_version": -1}, "expected_version"),
    ],
)
def test_a_change_of_status_that_makes_no_sense_is_refused(
    make: Requests, fields: dict[str, Any], bad: str
) -> None:
    request = carried_on(**{"order_id": make.new_id(), **fields})
    assert bad_fields(requests.status_change_from_proto, request) == {bad}
    if bad in ("order_id", "allowed_statuses"):
        cancellation = messages.CancelOrderRequest(
            order_id=request.order_id, allowed_statuses=request.allowed_statuses
        )
        assert bad_fields(requests.cancellation_from_proto, cancellation) == {bad}
