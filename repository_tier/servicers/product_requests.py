"""Requests of ProductRepository, checked and in the terms of this tier.

Every function raises AppError INVALID/VALIDATION_FAILED with all faults of the request's fields.
"""

from __future__ import annotations

from collections.abc import Sequence

from arcana.repository.v1 import product_repository_pb2 as messages
from repository_tier.conversion import enum_word
from repository_tier.field_checks import FieldChecks
from repository_tier.product_catalogue import NewProduct, ProductChange
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
from repository_tier.search_words import SearchWords, search_words
from repository_tier.stock import StockChange
from repository_tier.stock_changes import MAX_STOCK
from tier_runtime.errors import AppError
from tier_runtime.validation import REQUIRED, invalid

MAX_CHANGES = 100
MAX_QUERY_CHARACTERS = 255
MAX_QUERY_WORDS = 32
DEFAULT_LIMIT = 20
MAX_LIMIT = 100


def new_product_from_proto(request: messages.CreateProductRequest) -> NewProduct:
    """Return the product to make."""
    checks = FieldChecks()
    product = NewProduct(
        id=checks.new_id("product_id", request.product_id),
        name=name_of(checks, request.name),
        description=description_of(checks, request.description),
        price_minor=price_of(checks, request.price_minor),
        currency_code=checks.currency("currency_code", request.currency_code),
        stock=stock_of(checks, request.stock),
        low_stock_threshold=threshold_of(checks, request.low_stock_threshold),
        category=category_of(checks, request.category),
        status=enum_word(PRODUCT_STATUS_WORDS, checks, "status", request.status),
    )
    checks.done()
    return product


def product_change_from_proto(request: messages.UpdateProductRequest) -> ProductChange:
    """Return which product is to change, and its new values."""
    checks = FieldChecks()
    product_id = checks.known_id("product_id", request.product_id)
    version = checks.not_negative("expected_version", request.expected_version)
    values: dict[str, str | int] = {}
    if request.HasField("name"):
        values["name"] = name_of(checks, request.name)
    if request.HasField("description"):
        values["description"] = description_of(checks, request.description)
    if request.HasField("price_minor"):
        values["price_minor"] = price_of(checks, request.price_minor)
    if request.HasField("currency_code"):
        values["currency_code"] = checks.currency("currency_code", request.currency_code)
    if request.HasField("low_stock_threshold"):
        values["low_stock_threshold"] = threshold_of(checks, request.low_stock_threshold)
    if request.HasField("category"):
        values["category"] = category_of(checks, request.category)
    if request.status:
        values["status"] = enum_word(PRODUCT_STATUS_WORDS, checks, "status", request.status)
    checks.done()
    return ProductChange(product_id, version, values)


def words_from_proto(request: messages.SearchProductsRequest) -> tuple[SearchWords, int]:
    """Return what is looked for, and how many of it at most."""
    checks = FieldChecks()
    # Space at its end says that the last word is whole.
    query = checks.text("query", request.query, MAX_QUERY_CHARACTERS)
    wanted = search_words(query)
    if len(wanted.words) > MAX_QUERY_WORDS:
        checks.fault("query", f"More than {MAX_QUERY_WORDS} words.")
    limit = request.limit or DEFAULT_LIMIT
    checks.between("limit", limit, 1, MAX_LIMIT)
    checks.done()
    return wanted, limit


def stock_change_from_proto(request: messages.UpdateStockRequest) -> StockChange:
    """Return the change of one product's stock."""
    checks = FieldChecks()
    change = _stock_change(checks, request, request.expected_version)
    checks.not_negative("expected_version", request.expected_version)
    checks.done()
    return change


def stock_changes_from_proto(
    changes: Sequence[messages.StockChange],
) -> list[StockChange | AppError]:
    """Return the changes of a batch; a bad one is the fault of that item alone."""
    if len(changes) > MAX_CHANGES:
        raise invalid({"changes": [f"More than {MAX_CHANGES}."]})
    return [_one_of_many(change) for change in changes]


def _one_of_many(change: messages.StockChange) -> StockChange | AppError:
    checks = FieldChecks()
    try:
        found = _stock_change(checks, change, 0)
        checks.done()
        return found
    except AppError as error:
        return error


def _stock_change(
    checks: FieldChecks,
    change: messages.UpdateStockRequest | messages.StockChange,
    expected_version: int,
) -> StockChange:
    quantity = checks.between("quantity_change", change.quantity_change, -MAX_STOCK, MAX_STOCK)
    if not quantity:
        checks.fault("quantity_change", REQUIRED)
    return StockChange(
        product_id=checks.known_id("product_id", change.product_id),
        expected_version=expected_version,
        quantity_change=quantity,
        reason=reason_of(checks, change.reason),
    )
