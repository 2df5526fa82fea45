"""Requests of OrderRepository, checked and in the terms of this tier.

Every function raises AppError INVALID/VALIDATION_FAILED with all faults of the request's fields.
"""

from __future__ import annotations

from collections.abc import Iterable

from arcana.repository.v1 import order_pb2
from arcana.repository.v1 import order_repository_pb2 as messages
from repository_tier.conversion import enum_word
from repository_tier.field_checks import FieldChecks
from repository_tier.order_rows import CANCELLED, ORDER_STATUS_WORDS, PRICING_WORDS
from repository_tier.order_stock import NewOrder, OrderLine
from repository_tier.orders import StatusChange
from repository_tier.product_checks import MAX_PRICE_MINOR
from tier_runtime.validation import REQUIRED

MAX_LINES = 100
MAX_QUANTITY = 1000


def new_order_from_proto(request: messages.PlaceOrderRequest) -> NewOrder:
    """Return the order to place, whose sums add up."""
    checks = FieldChecks()
    if len(request.items) > MAX_LINES:
        checks.fault("items", f"More than {MAX_LINES}.")
        checks.done()
    lines = [_line_from_proto(checks, number, line) for number, line in enumerate(request.items)]
    order = NewOrder(
        id=checks.new_id("order_id", request.order_id),
        user_id=checks.known_id("user_id", request.user_id),
        lines=lines,
        currency_code=checks.currency("currency_code", request.currency_code),
        pricing=enum_word(PRICING_WORDS, checks, "pricing", request.pricing),
    )
    _check_prices(checks, lines)
    if request.total_minor != sum(line.total_minor for line in lines):
        checks.fault("total_minor", "Not the sum of what the lines cost.")
    checks.done()
    return order


def cancellation_from_proto(request: messages.CancelOrderRequest) -> tuple[str, frozenset[str]]:
    """Return which order to cancel, and in which statuses it may be."""
    checks = FieldChecks()
    order_id = checks.known_id("order_id", request.order_id)
    allowed = _allowed_statuses(checks, request.allowed_statuses)
    checks.done()
    return order_id, allowed


def status_change_from_proto(request: messages.UpdateOrderStatusRequest) -> StatusChange:
    """Return the new status of an order."""
    checks = FieldChecks()
    change = StatusChange(
        order_id=checks.known_id("order_id", request.order_id),
        expected_version=checks.not_negative("expected_version", request.expected_version),
        allowed_statuses=_allowed_statuses(checks, request.allowed_statuses),
        status=_living_status(checks, "status", request.status),
    )
    checks.done()
    return change


def _line_from_proto(checks: FieldChecks, number: int, line: messages.PricedLine) -> OrderLine:
    field = f"items.{number}."
    found = OrderLine(
        product_id=checks.known_id(field + "product_id", line.product_id),
        quantity=line.quantity,
        unit_price_minor=line.unit_price_minor,
        discount_minor=line.discount_minor,
    )
    is_counted = 1 <= found.quantity <= MAX_QUANTITY
    if not is_counted:
        checks.fault(field + "quantity", f"Must be from 1 to {MAX_QUANTITY}.")
    is_priced = 0 <= found.unit_price_minor <= MAX_PRICE_MINOR
    if not is_priced:
        checks.fault(field + "unit_price_minor", f"Must be from 0 to {MAX_PRICE_MINOR}.")
    if is_counted and is_priced and not 0 <= found.discount_minor <= found.cost_minor:
        checks.fault(field + "discount_minor", "Must be from 0 to what the line costs.")
    return found


def _check_prices(checks: FieldChecks, lines: Iterable[OrderLine]) -> None:
    prices: dict[str, int] = {}
    for number, line in enumerate(lines):
        price = prices.setdefault(line.product_id, line.unit_price_minor)
        if price != line.unit_price_minor:
            checks.fault(
                f"items.{number}.unit_price_minor", "Another line has another price for it."
            )


def _allowed_statuses(
    checks: FieldChecks, statuses: Iterable[order_pb2.OrderStatus.ValueType]
) -> frozenset[str]:
    allowed = frozenset(_living_status(checks, "allowed_statuses", status) for status in statuses)
    if not allowed:
        checks.fault("allowed_statuses", REQUIRED)
    return allowed


def _living_status(checks: FieldChecks, field: str, status: order_pb2.OrderStatus.ValueType) -> str:
    word = enum_word(ORDER_STATUS_WORDS, checks, field, status)
    if word == CANCELLED:
        # Nothing leaves it, and the way into it moves stock.
        checks.fault(field, "Must not be `cancelled`.")
    return word
