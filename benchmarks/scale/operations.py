"""What is asked of a shop, as requests that differ from call to call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType
from urllib.parse import quote

from benchmarks.scale.caller import Request
from benchmarks.scale.shop import Shop, list_path
from launcher.demo.sales import order_id
from launcher.demo.words import MATERIALS

LINES = 3

MakeRequest = Callable[[Shop, Random], Request]


def _get_product(shop: Shop, dice: Random) -> Request:
    id_ = shop.product(dice).id
    return Request("GET", f"/products/{id_}", answer=id_)


def _get_order(shop: Shop, dice: Random) -> Request:
    id_ = order_id(dice.randrange(shop.size))
    return Request("GET", f"/orders/{id_}", shop.admin, answer=id_)


def _first_products(shop: Shop, dice: Random) -> Request:
    del shop, dice
    return Request("GET", list_path("/products"), answer='"has_next":true')


def _first_orders(shop: Shop, dice: Random) -> Request:
    del dice
    return Request("GET", list_path("/orders"), shop.admin, answer='"has_next":true')


def _deep_products(shop: Shop, dice: Random) -> Request:
    path = list_path("/products", cursor=dice.choice(shop.deep_products))
    return Request("GET", path, shop.admin, answer='"has_next":true')


def _deep_orders(shop: Shop, dice: Random) -> Request:
    path = list_path("/orders", cursor=dice.choice(shop.deep_orders))
    return Request("GET", path, shop.admin, answer='"has_next":true')


def _search(shop: Shop, dice: Random) -> Request:
    # What somebody types who looks for this very product: its maker, and how its kind begins.
    words = shop.product(dice).name.split()
    query = quote(f"{words[0]} {words[3][:4]}")
    return Request("GET", f"/products/search?q={query}", answer=words[0])


def _search_common(shop: Shop, dice: Random) -> Request:
    del shop
    # One product in 25 has this word.
    word = dice.choice(MATERIALS)
    return Request("GET", f"/products/search?q={quote(word)}", answer=word)


def _place_order(shop: Shop, dice: Random) -> Request:
    ids = sorted({shop.stocked_product(dice).id for _ in range(LINES)})
    items = [{"product_id": id_, "quantity": 1} for id_ in ids]
    return Request("POST", "/orders", shop.buyer, {"items": items}, 201, answer=ids[0])


SEARCH_COMMON = "search, a word of 4 % of all products"
OPERATIONS: Mapping[str, MakeRequest] = MappingProxyType(
    {
        "get a product": _get_product,
        "get an order": _get_order,
        "list products, page 1": _first_products,
        "list orders, page 1": _first_orders,
        "list products, by cursor at 90 %": _deep_products,
        "list orders, by cursor at 90 %": _deep_orders,
        "search, two words": _search,
        SEARCH_COMMON: _search_common,
        "place an order of three lines": _place_order,
    }
)
