"""Messages to rows, for what is loaded in bulk: checked, since no use case has seen it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from arcana.repository.v1 import order_pb2, product_pb2, user_pb2
from repository_tier.column_types import MAX_PRODUCT_NAME_KEY_CHARACTERS
from repository_tier.conversion import enum_word, status_word
from repository_tier.field_checks import FieldChecks
from repository_tier.order_rows import ORDER_STATUS_WORDS, PRICING_WORDS
from repository_tier.product_checks import (
    category_of,
    description_of,
    name_of,
    price_of,
    reason_of,
    stock_of,
    threshold_of,
)
from repository_tier.product_rows import PRODUCT_STATUS_WORDS
from repository_tier.search_words import indexed_words
from repository_tier.text_keys import email_key, name_key
from tier_runtime.validation import REQUIRED

# The movements of one order, each with the id of its product.
OrderMovements = Sequence[tuple[str, product_pb2.StockMovement]]
Row = Mapping[str, Any]


def user_row(user: user_pb2.User, password_hash: str) -> Row:
    """Return the row of a user, without roles.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks("user.")
    row = {
        "id": checks.new_id("id", user.id),
        "email": checks.email("email", user.email),
        "email_key": email_key(user.email),
        "name": checks.name("name", user.name, 255, 1),
        "name_key": name_key(user.name),
        "status": status_word(checks, "status", user.status),
        "email_verified": user.email_verified,
        "password_hash": password_hash,
        "credential_version": 1,
        "version": user.version,
        **_times(checks, user.created_time, user.updated_time),
    }
    checks.done()
    return row


def product_row(
    product: product_pb2.Product, movements: Iterable[product_pb2.StockMovement]
) -> Row:
    """Return the row of a product whose stock is the sum of these movements.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks("product.")
    if product.stock != sum(movement.quantity_change for movement in movements):
        checks.fault("stock", "Not the sum of its movements.")
    row = {
        "id": checks.new_id("id", product.id),
        "name": name_of(checks, product.name),
        "name_key": name_key(product.name, MAX_PRODUCT_NAME_KEY_CHARACTERS),
        "description": description_of(checks, product.description),
        "price_minor": price_of(checks, product.price_minor),
        "currency_code": checks.currency("currency_code", product.currency_code),
        "stock": stock_of(checks, product.stock),
        "low_stock_threshold": threshold_of(checks, product.low_stock_threshold),
        "category": category_of(checks, product.category),
        "status": enum_word(PRODUCT_STATUS_WORDS, checks, "status", product.status),
        "version": product.version,
        **_times(checks, product.created_time, product.updated_time),
    }
    checks.done()
    return row


def words_row(product: product_pb2.Product) -> Row:
    """Return the row of what a product is found by."""
    words = indexed_words(product.name, product.category, product.description)
    return {"product_id": product.id, "words": words}


def movement_row(product_id: str, movement: product_pb2.StockMovement) -> Row:
    """Return the row of a line of a product's ledger.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks("movement.")
    if movement.quantity_change == 0:
        checks.fault("quantity_change", "Must not be 0.")
    row = {
        "product_id": product_id,
        "id": checks.new_id("id", movement.id),
        "quantity_change": movement.quantity_change,
        "reason": reason_of(checks, movement.reason),
        "order_id": movement.order_id or None,
        "created_time": checks.required_moment("created_time", movement.created_time),
    }
    checks.done()
    return row


def order_row(order: order_pb2.Order, movements: OrderMovements) -> Row:
    """Return the row of an order whose amounts add up and whose units these movements moved.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks("order.")
    if not order.items:
        checks.fault("items", REQUIRED)
    if not _adds_up(order):
        checks.fault("total_minor", "Not the sum of the items.")
    if _units_moved(order, movements) != _units_held(order):
        checks.fault("items", "Not what its movements took out of stock.")
    row = {
        "id": checks.new_id("id", order.id),
        "user_id": checks.known_id("user_id", order.user_id),
        "status": enum_word(ORDER_STATUS_WORDS, checks, "status", order.status),
        "pricing": enum_word(PRICING_WORDS, checks, "pricing", order.pricing),
        "currency_code": checks.word("currency_code", order.currency_code, 3),
        "subtotal_minor": order.subtotal_minor,
        "discount_minor": order.discount_minor,
        "total_minor": order.total_minor,
        "version": order.version,
        **_times(checks, order.created_time, order.updated_time),
    }
    checks.done()
    return row


def item_rows(order: order_pb2.Order) -> list[Row]:
    """Return the rows of an order's lines."""
    return [
        {
            "order_id": order.id,
            "line": line,
            "product_id": item.product_id,
            "name": item.name,
            "quantity": item.quantity,
            "unit_price_minor": item.unit_price_minor,
            "discount_minor": item.discount_minor,
            "line_total_minor": item.line_total_minor,
        }
        for line, item in enumerate(order.items)
    ]


def _adds_up(order: order_pb2.Order) -> bool:
    lines = all(
        item.line_total_minor == item.quantity * item.unit_price_minor - item.discount_minor
        and 0 <= item.discount_minor <= item.quantity * item.unit_price_minor
        for item in order.items
    )
    discount = sum(item.discount_minor for item in order.items)
    total = sum(item.line_total_minor for item in order.items)
    return lines and (order.subtotal_minor, order.discount_minor, order.total_minor) == (
        total + discount,
        discount,
        total,
    )


def _units_held(order: order_pb2.Order) -> Counter[str]:
    """Count the units of each product that an order keeps out of stock."""
    held: Counter[str] = Counter()
    for item in order.items:
        back = order.status == order_pb2.ORDER_STATUS_CANCELLED
        held[item.product_id] += 0 if back else item.quantity
    return held


def _units_moved(order: order_pb2.Order, movements: OrderMovements) -> Counter[str]:
    moved: Counter[str] = Counter()
    for product_id, movement in movements:
        # A delivery that came for an order belongs to none.
        if movement.order_id == order.id:
            moved[product_id] -= movement.quantity_change
    return moved


def _times(checks: FieldChecks, created: Timestamp, updated: Timestamp) -> Row:
    return {
        "created_time": checks.required_moment("created_time", created),
        "updated_time": checks.required_moment("updated_time", updated),
    }
