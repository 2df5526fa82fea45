"""The kinds of requests whose costs are measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from benchmarks.scale.caller import Request
from benchmarks.scale.operations import OPERATIONS as SHOP_OPERATIONS
from benchmarks.scale.operations import MakeRequest
from benchmarks.scale.shop import Shop
from launcher.accounts import DEMO_PASSWORD
from launcher.demo.people import make_user

USERS = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """One kind.

    Attributes:
        make: gives a request that differs from the ones before it.
        hashes: whether a password is hashed, which takes a core for a good while.
    """

    about: str
    make: MakeRequest
    hashes: bool = False


def _read_user(shop: Shop, dice: Random) -> Request:
    id_ = make_user(dice.randrange(USERS)).id
    return Request("GET", f"/users/{id_}", shop.admin, answer=id_)


def _login(_shop: Shop, dice: Random) -> Request:
    body = {"email": make_user(dice.randrange(USERS)).email, "password": DEMO_PASSWORD}
    return Request("POST", "/auth/login", body=body, answer="access_token")


def _register(_shop: Shop, dice: Random) -> Request:
    email = f"new.{dice.getrandbits(64):016x}@new.example"
    body = {"name": "Somebody New", "email": email, "password": DEMO_PASSWORD}
    return Request("POST", "/auth/register", body=body, status=201, answer=email)


def _create(shop: Shop, dice: Random) -> Request:
    name = f"Lamp {dice.getrandbits(32):08x}"
    body = {"name": name, "price": "19.90", "currency": "EUR", "stock": 10, "category": "Lamps"}
    return Request("POST", "/products", shop.admin, body, 201, answer=name)


OPERATIONS: Mapping[str, Asked] = MappingProxyType(
    {
        "read-user": Asked("one user by its id, signed in", _read_user),
        "read-product": Asked(
            "one product by its id, by anybody", SHOP_OPERATIONS["get a product"]
        ),
        "list": Asked("a page of ten products", SHOP_OPERATIONS["list products, page 1"]),
        "search": Asked("products by two words", SHOP_OPERATIONS["search, two words"]),
        "login": Asked("a sign-in with a password", _login, hashes=True),
        "register": Asked("a new account, with its mail", _register, hashes=True),
        "create": Asked("a new product", _create),
        "order": Asked(
            "an order of three lines, with its mail",
            SHOP_OPERATIONS["place an order of three lines"],
        ),
    }
)
