"""The rows of products, stock and orders, each with a request that succeeds."""

from __future__ import annotations

from tests.system.client import Json
from tests.system.rows import MAKES, Prepare, Prepared, Row
from tests.system.world import World

NEW_PRODUCT: Json = {
    "name": "Brass gear",
    "description": "Twelve teeth,\nfor a difference engine.",
    "price": "19.99",
    "currency": "EUR",
    "stock": 7,
    "low_stock_threshold": 2,
    "category": "gears",
    "status": "active",
}


def _anybody(path: str) -> Prepare:
    """Ask as nobody, about an active product where the path names one."""

    def prepare(world: World) -> Prepared:
        return path.format(id=world.shop.product()["id"] if "{id}" in path else ""), {}, None

    return prepare


def _of_a_product(path: str, body: Json | None = None) -> Prepare:
    """Ask as the admin about a new product."""

    def prepare(world: World) -> Prepared:
        return path.format(id=world.shop.product()["id"]), world.admin.bearer, body

    return prepare


def _create_product(world: World) -> Prepared:
    return "/products", world.admin.bearer, NEW_PRODUCT


def _change_stocks(world: World) -> Prepared:
    changes = [{"product_id": world.shop.product()["id"], "quantity_change": 5} for _ in range(2)]
    return "/products/stock/batch", world.admin.bearer, {"changes": changes}


def _place_order(world: World) -> Prepared:
    lines = [{"product_id": world.shop.product()["id"], "quantity": n} for n in (1, 2)]
    return "/orders", world.resident.bearer, {"items": lines}


def _list_orders(world: World) -> Prepared:
    return "/orders", world.resident.bearer, None


def _of_an_order(path: str) -> Prepare:
    """Ask as the one who placed it."""

    def prepare(world: World) -> Prepared:
        order = world.shop.order(world.resident)
        return path.format(id=order["id"]), world.resident.bearer, None

    return prepare


def _pay(world: World) -> Prepared:
    order = world.shop.order(world.resident)
    return f"/orders/{order['id']}/status", world.admin.bearer, {"status": "paid"}


def _stream_events(world: World) -> Prepared:
    return "/events?type=order.created", world.admin.bearer, None


_TAKES_UNITS = frozenset({"INSUFFICIENT_STOCK"})
_STEPS = frozenset({"INVALID_STATE"})

SHOP_ROWS: tuple[Row, ...] = (
    Row("GET", "/products", "anybody", 200, _anybody("/products")),
    Row(
        "GET",
        "/products/search",
        "anybody",
        200,
        _anybody("/products/search?q=gear&min_price=1&max_price=20.5&limit=3"),
    ),
    Row("GET", "/products/{id}", "anybody", 200, _anybody("/products/{id}"), etag=True),
    Row("POST", "/products", "admin", 201, _create_product, MAKES),
    Row(
        "PUT",
        "/products/{id}",
        "admin",
        200,
        _of_a_product("/products/{id}", {"name": "Cog", "price": 5}),
        etag=True,
    ),
    Row(
        "PATCH",
        "/products/{id}",
        "admin",
        200,
        _of_a_product("/products/{id}", {"price": 17.5, "category": None}),
        etag=True,
    ),
    Row(
        "PATCH",
        "/products/{id}/stock",
        "admin",
        200,
        _of_a_product("/products/{id}/stock", {"quantity_change": -3, "reason": "broken"}),
        MAKES | _TAKES_UNITS,
        etag=True,
    ),
    Row("POST", "/products/stock/batch", "admin", 200, _change_stocks, MAKES),
    Row(
        "GET",
        "/products/{id}/stock/movements",
        "admin",
        200,
        _of_a_product("/products/{id}/stock/movements"),
    ),
    Row("DELETE", "/products/{id}", "admin", 204, _of_a_product("/products/{id}"), etag=True),
    Row(
        "POST",
        "/orders",
        "signed in",
        201,
        _place_order,
        MAKES | _TAKES_UNITS | {"PRODUCT_NOT_FOUND"},
    ),
    Row("GET", "/orders", "signed in", 200, _list_orders),
    Row("GET", "/orders/{id}", "signed in", 200, _of_an_order("/orders/{id}"), etag=True),
    Row(
        "POST",
        "/orders/{id}/cancel",
        "signed in",
        200,
        _of_an_order("/orders/{id}/cancel"),
        _STEPS,
        no_body=True,
    ),
    Row("PATCH", "/orders/{id}/status", "admin", 200, _pay, _STEPS, etag=True),
    Row("GET", "/events", "admin", 200, _stream_events),
)
