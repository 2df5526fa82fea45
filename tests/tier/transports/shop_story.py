"""The part of the service tier's story that is about products, stock and orders."""

from __future__ import annotations

from typing import Any

from tests.tier.transports.plans import numbered_id
from tests.tier.transports.transcript import Transcript
from tier_runtime.call import Actor

ADMIN = Actor("system", frozenset({"admin"}))
PREMIUM = Actor(numbered_id(2, family=0xFFFF), frozenset({"user", "premium"}))
NOTHING = numbered_id(1, family=0xFFFF)
NAME = 'Lámpara 日本 \U0001f600 "\\/ %2F'

DRAFT, ACTIVE = 1, 2
PENDING, PAID, SHIPPED, DELIVERED, CANCELLED = range(1, 6)


def tell(transcript: Transcript, customer: Actor) -> None:
    """Call every RPC of ProductService and OrderService, well and badly."""
    lamp, draft = _products(transcript, customer)
    _catalogue(transcript, customer, lamp, draft)
    _stock(transcript, customer, lamp, draft)
    order = _orders(transcript, customer, lamp, draft)
    _ways(transcript, customer, order, lamp)
    _ends(transcript, customer, lamp)


def _products(transcript: Transcript, customer: Actor) -> tuple[str, str]:
    call = transcript.call
    told: dict[str, Any] = {
        "name": NAME,
        "description": f"Two\nlines of {NAME}",
        "price_minor": 1999,
        "stock": 20,
        "low_stock_threshold": 5,
        "category": "light",
        "status": ACTIVE,
    }
    call("ProductService/CreateProduct", **told)
    call("ProductService/CreateProduct", customer, **told)
    lamp = call("ProductService/CreateProduct", ADMIN, request_id="key-1", **told).product
    call("ProductService/CreateProduct", ADMIN, request_id="key-1", **told)
    call("ProductService/CreateProduct", ADMIN, request_id="key-1", **told | {"name": "Other"})
    call("ProductService/CreateProduct", ADMIN)
    call("ProductService/CreateProduct", ADMIN, **told | {"currency_code": "JPY", "stock": -1})
    draft = call("ProductService/CreateProduct", ADMIN, name="Draft", price_minor=0).product
    change: dict[str, Any] = {"product_id": lamp.id, "low_stock_threshold": 4}
    call("ProductService/UpdateProduct", customer, **change)
    call("ProductService/UpdateProduct", ADMIN, **change)
    call("ProductService/UpdateProduct", ADMIN, **change)
    call("ProductService/UpdateProduct", ADMIN, expected_version=1, **change)
    call("ProductService/UpdateProduct", ADMIN, product_id=lamp.id, name="", price_minor=-1)
    call("ProductService/UpdateProduct", ADMIN, product_id=lamp.id, status=99)
    call("ProductService/UpdateProduct", ADMIN, product_id=NOTHING, name="New")
    call("ProductService/UpdateProduct", ADMIN, product_id=draft.id, description="", category="x")
    return lamp.id, draft.id


def _catalogue(transcript: Transcript, customer: Actor, lamp: str, draft: str) -> None:
    call = transcript.call
    for actor in (None, customer, ADMIN):
        for product_id in (lamp, draft, NOTHING):
            call("ProductService/GetProduct", actor, product_id=product_id)
        ids = [lamp, draft, NOTHING, "lamp", lamp]
        call("ProductService/BatchGetProducts", actor, product_ids=ids)
        call("ProductService/ListProducts", actor)
        call("ProductService/ListProducts", actor, filter={"status": DRAFT})
        call("ProductService/SearchProducts", actor, query="dra")
        call("ProductService/SearchProducts", actor, query="LAMPARA", filter={"in_stock": True})
    call("ProductService/GetProduct", ADMIN, product_id="a/b c?d=%20é")
    call("ProductService/GetProduct")
    call("ProductService/BatchGetProducts")
    listed = {"filter": {"min_price_minor": 0, "max_price_minor": 1999}, "sort": 4}
    page: dict[str, Any] = {"page_size": 1, "descending": True}
    while True:
        part = call("ProductService/ListProducts", ADMIN, page=page, **listed)
        if not part.page.next_cursor:
            break
        page["cursor"] = part.page.next_cursor
    call("ProductService/ListProducts", page={"page_size": 2, "cursor": "nonsense"})
    call("ProductService/ListProducts", page={"page_size": 101})
    call("ProductService/ListProducts", sort=99)
    call("ProductService/ListProducts", filter={"category": "light", "in_stock": False})
    call("ProductService/SearchProducts", query="%", limit=1)
    call("ProductService/SearchProducts", query=NAME, limit=101)
    call("ProductService/SearchProducts")


def _stock(transcript: Transcript, customer: Actor, lamp: str, draft: str) -> None:
    call, send = transcript.call, transcript.send
    change: dict[str, Any] = {"product_id": lamp, "quantity_change": -1, "reason": NAME}
    call("ProductService/UpdateStock", customer, **change)
    call("ProductService/UpdateStock", ADMIN, request_id="key-2", **change)
    call("ProductService/UpdateStock", ADMIN, request_id="key-2", **change)
    call("ProductService/UpdateStock", ADMIN, request_id="key-2", **change | {"reason": ""})
    call("ProductService/UpdateStock", ADMIN, expected_version=1, **change)
    call("ProductService/UpdateStock", ADMIN, **change | {"quantity_change": -1000})
    call("ProductService/UpdateStock", ADMIN, **change | {"quantity_change": 0})
    call("ProductService/UpdateStock", ADMIN, **change | {"product_id": NOTHING})
    sent: list[dict[str, Any]] = [
        {"request_id": "key-3", "product_id": draft, "quantity_change": 7, "reason": "came in"},
        {"product_id": draft, "quantity_change": -8},
        {"product_id": NOTHING, "quantity_change": 1},
        {"product_id": "lamp", "quantity_change": 1},
        {"product_id": draft},
        *({"product_id": draft, "quantity_change": 1} for _ in range(120)),
    ]
    send("ProductService/BatchUpdateStock", customer, *sent)
    send("ProductService/BatchUpdateStock", ADMIN, *sent)
    send("ProductService/BatchUpdateStock", ADMIN, *sent)
    send("ProductService/BatchUpdateStock", ADMIN, *sent[:3])
    send("ProductService/BatchUpdateStock", ADMIN, *sent[:100])
    send("ProductService/BatchUpdateStock", ADMIN, *sent, *sent)
    whole = sent[0] | {"request_id": "key-5", "change_count": 3, "changes_sha256": b"\xff" * 32}
    send("ProductService/BatchUpdateStock", ADMIN, whole, *sent[1:2])
    send("ProductService/BatchUpdateStock", ADMIN, whole, *sent[1:3])
    send("ProductService/BatchUpdateStock", ADMIN, whole, *sent[1:3])
    send("ProductService/BatchUpdateStock", ADMIN, whole | {"changes_sha256": b"x"})
    send("ProductService/BatchUpdateStock", ADMIN)
    send("ProductService/BatchUpdateStock", ADMIN, sent[0] | {"request_id": "é"})
    call("ProductService/ListStockMovements", customer, product_id=lamp)
    call("ProductService/ListStockMovements", ADMIN, product_id=lamp)
    page: dict[str, Any] = {"page_size": 100}
    cursor = call("ProductService/ListStockMovements", ADMIN, product_id=draft, page=page)
    page["cursor"] = cursor.page.next_cursor
    call("ProductService/ListStockMovements", ADMIN, product_id=draft, page=page)
    call("ProductService/ListStockMovements", ADMIN, product_id=NOTHING)


def _orders(transcript: Transcript, customer: Actor, lamp: str, draft: str) -> str:
    call = transcript.call
    line: dict[str, Any] = {"product_id": lamp, "quantity": 2}
    call("OrderService/PlaceOrder", items=[line])
    placed = call("OrderService/PlaceOrder", customer, request_id="key-4", items=[line])
    call("OrderService/PlaceOrder", customer, request_id="key-4", items=[line])
    call("OrderService/PlaceOrder", customer, request_id="key-4", items=[line, line])
    call("OrderService/PlaceOrder", customer, items=[line | {"quantity": 10}, line])
    call("OrderService/PlaceOrder", PREMIUM, items=[line])
    call("OrderService/PlaceOrder", customer, items=[line, line | {"quantity": 1000}])
    call("OrderService/PlaceOrder", customer, items=[line, {"product_id": draft, "quantity": 1}])
    call("OrderService/PlaceOrder", customer, items=[line, {"product_id": NOTHING, "quantity": 1}])
    call("OrderService/PlaceOrder", customer, items=[line | {"quantity": 0}, {"quantity": 1001}])
    call("OrderService/PlaceOrder", customer, items=[line, {"product_id": "lamp", "quantity": 1}])
    call("OrderService/PlaceOrder", customer)
    euros = call(
        "ProductService/CreateProduct",
        ADMIN,
        name="Desk",
        currency_code="EUR",
        stock=1,
        status=ACTIVE,
    )
    others: dict[str, Any] = {"product_id": euros.product.id, "quantity": 1}
    call("OrderService/PlaceOrder", customer, items=[line, others])
    call("OrderService/PlaceOrder", customer, items=[others])
    call("OrderService/PlaceOrder", customer, items=[others])
    order: str = placed.order.id
    for actor in (None, customer, PREMIUM, ADMIN):
        call("OrderService/GetOrder", actor, order_id=order)
        call("OrderService/ListOrders", actor)
        call("OrderService/ListOrders", actor, filter={"user_id": customer.subject})
    call("OrderService/GetOrder", ADMIN, order_id=NOTHING)
    call("OrderService/GetOrder", ADMIN)
    page: dict[str, Any] = {"page_size": 2, "descending": True}
    listed = {"filter": {"status": PENDING}, "sort": 2}
    while True:
        part = call("OrderService/ListOrders", ADMIN, page=page, **listed)
        if not part.page.next_cursor:
            break
        page["cursor"] = part.page.next_cursor
    call("OrderService/ListOrders", ADMIN, page={"cursor": "nonsense"})
    call("OrderService/ListOrders", ADMIN, filter={"status": 99})
    call("OrderService/ListOrders", ADMIN, filter={"created_before_time": {"seconds": 1}})
    return order


def _ways(transcript: Transcript, customer: Actor, order: str, lamp: str) -> None:
    call = transcript.call
    call("OrderService/UpdateOrderStatus", customer, order_id=order, status=PAID)
    call("OrderService/UpdateOrderStatus", ADMIN, order_id=order, status=SHIPPED)
    call("OrderService/UpdateOrderStatus", ADMIN, order_id=order, status=CANCELLED)
    call("OrderService/UpdateOrderStatus", ADMIN, order_id=order, status=PAID, expected_version=9)
    call("OrderService/UpdateOrderStatus", ADMIN, order_id=order, status=PAID, expected_version=1)
    call("OrderService/UpdateOrderStatus", ADMIN, order_id=NOTHING, status=PAID)
    call("OrderService/UpdateOrderStatus", ADMIN, order_id=order)
    call("OrderService/CancelOrder", order_id=order)
    call("OrderService/CancelOrder", PREMIUM, order_id=order)
    call("OrderService/CancelOrder", customer, order_id=order)
    call("OrderService/CancelOrder", customer, order_id=order)
    call("OrderService/CancelOrder", customer, order_id=NOTHING)
    call("ProductService/ListStockMovements", ADMIN, product_id=lamp)


def _ends(transcript: Transcript, customer: Actor, lamp: str) -> None:
    call = transcript.call
    call("ProductService/DeleteProduct", customer, product_id=lamp)
    call("ProductService/DeleteProduct", ADMIN, product_id=lamp, expected_version=1)
    call("ProductService/DeleteProduct", ADMIN, product_id=lamp)
    call("ProductService/DeleteProduct", ADMIN, product_id=lamp)
    call("ProductService/DeleteProduct", ADMIN, product_id=NOTHING)
    call("ProductService/GetProduct", customer, product_id=lamp)
    call("OrderService/PlaceOrder", customer, items=[{"product_id": lamp, "quantity": 1}])
    # Sold before, and told again all the same.
    call(
        "OrderService/PlaceOrder",
        customer,
        request_id="key-4",
        items=[{"product_id": lamp, "quantity": 2}],
    )
