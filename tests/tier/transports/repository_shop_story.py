"""The part of the repository tier's story that is about products, stock and orders."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

from tests.fakes.clock import FakeClock
from tests.tier.transports.plans import numbered_id
from tests.tier.transports.transcript import Transcript

NAME = 'Zoë 日本 \U0001f600 "\\/ %2F'
NOTHING = numbered_id(1, family=0xFFFF)
NOW = int(FakeClock().now().timestamp())
TEA, CUP, POT = (numbered_id(number, family=5) for number in (1, 2, 3))
ORDER, OTHER = numbered_id(1, family=6), numbered_id(2, family=6)
USER = numbered_id(1, family=7)
DRAFT, ACTIVE = 1, 2
PENDING, PAID, SHIPPED, CANCELLED = 1, 2, 3, 5
REGULAR, BULK = 1, 2

_event_numbers = itertools.count(1)


def tell(transcript: Transcript) -> None:
    """Call every RPC of ProductRepository and OrderRepository, well and badly."""
    _products(transcript)
    _stock(transcript)
    _orders(transcript)
    _lists(transcript)


def _key(key: str, content: str = "one") -> dict[str, Any]:
    fingerprint = hashlib.sha256(content.encode()).digest()
    return {"scope": "shop", "key": key, "fingerprint": fingerprint}


def _event(event_type: str, aggregate_type: str, aggregate_id: str) -> dict[str, Any]:
    return {
        "id": numbered_id(next(_event_numbers), family=8),
        "type": event_type,
        "aggregate_type": aggregate_type,
        "aggregate_id": aggregate_id,
        "payload": {"name": NAME},
        "occurred_time": {"seconds": NOW, "nanos": 123_456_000},
        "request_id": "r-1",
    }


def _products(transcript: Transcript) -> None:
    call = transcript.call
    tea: dict[str, Any] = {
        "product_id": TEA,
        "name": NAME,
        "description": f"A tea. {NAME}",
        "price_minor": 10**12,
        "currency_code": "USD",
        "stock": 10**9,
        "low_stock_threshold": 5,
        "category": "tea",
        "status": ACTIVE,
        "events": [_event("product.created", "product", TEA)],
        "idempotency_key": _key("tea"),
    }
    call("ProductRepository/CreateProduct", **tea)
    call("ProductRepository/CreateProduct", **tea)
    call("ProductRepository/CreateProduct", **tea | {"idempotency_key": _key("tea", "other")})
    call("ProductRepository/CreateProduct", **tea | {"idempotency_key": None})
    call("ProductRepository/CreateProduct", product_id="x", status=99, currency_code="usd")
    call("ProductRepository/CreateProduct")
    cup = {"product_id": CUP, "name": "Cup", "currency_code": "USD", "price_minor": 250}
    call("ProductRepository/CreateProduct", status=ACTIVE, stock=12, **cup)
    pot = cup | {"product_id": POT, "name": "Pot for tea"}
    call("ProductRepository/CreateProduct", status=DRAFT, **pot)
    for product_id in (TEA, NOTHING, "a/b c?d=%20é", ""):
        call("ProductRepository/GetProduct", product_id=product_id)
    several = [TEA, NOTHING, CUP, TEA, "nonsense"]
    call("ProductRepository/BatchGetProducts", product_ids=several)
    call("ProductRepository/BatchGetProducts", product_ids=[CUP], fresh=True, request_ids=["r"])
    call("ProductRepository/BatchGetProducts")
    update = {"product_id": CUP, "events": [_event("product.updated", "product", CUP)]}
    call("ProductRepository/UpdateProduct", expected_version=1, price_minor=300, **update)
    call("ProductRepository/UpdateProduct", expected_version=1, product_id=CUP, price_minor=1)
    call("ProductRepository/UpdateProduct", product_id=CUP, description="", low_stock_threshold=20)
    call("ProductRepository/UpdateProduct", product_id=CUP, name="")
    call("ProductRepository/UpdateProduct", product_id=NOTHING, name="x")


def _stock(transcript: Transcript) -> None:
    call = transcript.call
    less: dict[str, Any] = {
        "product_id": CUP,
        "quantity_change": -2,
        "reason": NAME,
        "idempotency_key": _key("stock"),
        "events": [_event("product.updated", "product", CUP)],
    }
    call("ProductRepository/UpdateStock", **less)
    call("ProductRepository/UpdateStock", **less)
    call("ProductRepository/UpdateStock", **less | {"idempotency_key": _key("stock", "other")})
    call("ProductRepository/UpdateStock", product_id=CUP, quantity_change=-11)
    call("ProductRepository/UpdateStock", product_id=CUP, quantity_change=1, expected_version=1)
    call("ProductRepository/UpdateStock", product_id=TEA, quantity_change=1)
    call("ProductRepository/UpdateStock", product_id=NOTHING, quantity_change=1)
    call("ProductRepository/UpdateStock", product_id=CUP)
    changes = [
        {"product_id": TEA, "quantity_change": -1, "reason": NAME},
        {"product_id": CUP, "quantity_change": -11},
        {"product_id": CUP, "quantity_change": 5},
        {"product_id": NOTHING, "quantity_change": 5},
        {"product_id": "nonsense"},
    ]
    batch: dict[str, Any] = {"changes": changes, "idempotency_key": _key("batch")}
    call("ProductRepository/BatchUpdateStock", **batch)
    call("ProductRepository/BatchUpdateStock", **batch)
    call("ProductRepository/BatchUpdateStock", **batch | {"idempotency_key": _key("batch", "x")})
    call("ProductRepository/BatchUpdateStock")


def _line(product_id: str, quantity: int, price: int, discount: int = 0) -> dict[str, Any]:
    return {
        "product_id": product_id,
        "quantity": quantity,
        "unit_price_minor": price,
        "discount_minor": discount,
    }


def _orders(transcript: Transcript) -> None:
    call = transcript.call
    order: dict[str, Any] = {
        "order_id": ORDER,
        "user_id": USER,
        "items": [_line(CUP, 10, 300, 300), _line(TEA, 1, 10**12), _line(CUP, 5, 300)],
        "currency_code": "USD",
        "pricing": BULK,
        "total_minor": 10**12 + 4200,
        "idempotency_key": _key("order"),
        "events": [_event("order.created", "order", ORDER)],
    }
    call("OrderRepository/PlaceOrder", **order)
    call("OrderRepository/PlaceOrder", **order)
    call("OrderRepository/PlaceOrder", **order | {"idempotency_key": _key("order", "other")})
    one = {"order_id": OTHER, "user_id": USER, "currency_code": "USD", "pricing": REGULAR}
    call("OrderRepository/PlaceOrder", items=[_line(CUP, 1, 300)], total_minor=300, **one)
    call("OrderRepository/PlaceOrder", items=[_line(TEA, 1, 1)], total_minor=1, **one)
    call("OrderRepository/PlaceOrder", items=[_line(POT, 1, 250)], total_minor=250, **one)
    call("OrderRepository/PlaceOrder", items=[_line(NOTHING, 0, -1)], total_minor=7, **one)
    call("OrderRepository/PlaceOrder")
    tea = {"items": [_line(TEA, 2, 10**12)], "total_minor": 2 * 10**12}
    call("OrderRepository/PlaceOrder", **one | tea | {"order_id": ORDER})
    call("OrderRepository/PlaceOrder", **one | tea)
    for order_id in (ORDER, NOTHING, "a/b c?d=%20é", ""):
        call("OrderRepository/GetOrder", order_id=order_id)
    paid = {"order_id": OTHER, "allowed_statuses": [PENDING], "status": PAID}
    event = _event("order.paid", "order", OTHER)
    call("OrderRepository/UpdateOrderStatus", expected_version=1, events=[event], **paid)
    call("OrderRepository/UpdateOrderStatus", **paid)
    call("OrderRepository/UpdateOrderStatus", expected_version=1, **paid)
    call("OrderRepository/UpdateOrderStatus", **paid | {"status": CANCELLED})
    call("OrderRepository/UpdateOrderStatus", **paid | {"order_id": NOTHING})
    call("OrderRepository/UpdateOrderStatus")
    cancelled = {"order_id": ORDER, "allowed_statuses": [PENDING, PAID]}
    call(
        "OrderRepository/CancelOrder",
        events=[_event("order.cancelled", "order", ORDER)],
        **cancelled,
    )
    call("OrderRepository/CancelOrder", **cancelled)
    call("OrderRepository/CancelOrder", **cancelled | {"order_id": NOTHING})
    call("OrderRepository/CancelOrder")


def _lists(transcript: Transcript) -> None:
    call = transcript.call
    call("ProductRepository/ListProducts")
    wanted = {"status": ACTIVE, "min_price_minor": 0, "max_price_minor": 10**12, "in_stock": True}
    call("ProductRepository/ListProducts", filter=wanted, sort=4, page={"descending": True})
    call("ProductRepository/ListProducts", filter={"status": 99}, sort=99)
    for query in ("tea", "TEA po", "zoe", "nothing like it", '"*', ""):
        call("ProductRepository/SearchProducts", query=query)
    call("ProductRepository/SearchProducts", query="tea", limit=1, filter={"category": "tea"})
    call("ProductRepository/SearchProducts", query="x" * 256, limit=101)
    walked: dict[str, dict[str, Any]] = {
        "ProductRepository/ListProducts": {"sort": 3},
        "ProductRepository/ListStockMovements": {"product_id": CUP},
        "OrderRepository/ListOrders": {"sort": 2, "filter": {"user_id": USER}},
    }
    for method, fields in walked.items():
        page: dict[str, Any] = {"page_size": 1}
        while (part := call(method, page=page, **fields)).page.next_cursor:
            page["cursor"] = part.page.next_cursor
    call("ProductRepository/ListStockMovements", product_id=NOTHING)
    call("ProductRepository/ListStockMovements")
    call("OrderRepository/ListOrders")
    call("OrderRepository/ListOrders", filter={"status": CANCELLED}, page={"descending": True})
    call("OrderRepository/ListOrders", filter={"user_id": "x", "status": 99}, sort=99)
    call("OrderRepository/ListOrders", filter={"created_before_time": {"seconds": NOW}})
