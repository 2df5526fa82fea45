"""Consumers of the shop who do not give up: what has no answer they ask again by the same key."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import requests

from tests.system.client import Account, Edge, Json, bearer, expect
from tests.system.credentials import Credentials

# A tier that was killed is back long before.
PATIENCE_SECONDS = 120.0
# What a client may be told that is no answer to its request: to come again.
COME_AGAIN = frozenset(
    {
        (503, "SERVICE_UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
        (409, "IDEMPOTENCY_IN_PROGRESS"),
    }
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The one answer that a request came to in the end.

    Attributes:
        again: how often it was asked for before that answer came.
    """

    status: int
    body: Json
    headers: Mapping[str, str]
    again: int

    @property
    def code(self) -> str:
        """The code of a problem; empty for a success."""
        return str(self.body.get("code", ""))


class Shopper:
    """Somebody signed in. Safe to use from several threads."""

    def __init__(self, edge: Edge, headers: Mapping[str, str]) -> None:
        self._edge = edge
        self._headers = headers
        # Nobody sets it: waiting on it is a pause.
        self._never = threading.Event()

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask until there is an answer.

        Raises:
            AssertionError: none came in time.
        """
        sent = {**self._headers, **(headers or {})}
        if key:
            sent["Idempotency-Key"] = key
        random, ends, again = Random(secrets.randbits(64)), time.monotonic() + PATIENCE_SECONDS, 0
        while True:
            found = self._once(method, path, body, sent)
            if isinstance(found, requests.Response):
                answer = Answer(found.status_code, found.json(), dict(found.headers), again)
                if (answer.status, answer.code) not in COME_AGAIN:
                    return answer
                told = f"{answer.status} {answer.code}"
            else:
                told = found
            assert time.monotonic() < ends, f"{method} {path} was answered by {told} to the end"
            again += 1
            self._never.wait(random.uniform(0.02, 0.2))

    def order(self, items: Mapping[str, int], key: str = "") -> Answer:
        """Order so many units of each product."""
        lines = [{"product_id": id_, "quantity": quantity} for id_, quantity in items.items()]
        return self.ask("POST", "/orders", {"items": lines}, key=key or new_key())

    def _once(
        self, method: str, path: str, body: object, headers: Mapping[str, str]
    ) -> requests.Response | str:
        try:
            return self._edge.call(method, path, body, headers=headers)
        except requests.RequestException as error:
            return type(error).__name__


class ShopAdmin(Shopper):
    """The one who makes products."""

    def new_product(self, stock: int, price: str = "10.00") -> str:
        """Make a product that is for sale, and give its id."""
        made = self.ask(
            "POST",
            "/products",
            {"name": f"Lamp {secrets.token_hex(4)}", "price": price, "stock": stock}
            | {"status": "active"},
            key=new_key(),
        )
        assert made.status == 201, made
        return str(made.body["id"])


def new_key() -> str:
    """Give an Idempotency-Key that nobody else uses."""
    return secrets.token_hex(16)


def shopper_of(edge: Edge, account: Account) -> Shopper:
    """Give somebody who has just registered."""
    return Shopper(edge, account.bearer)


def admin_of(edge: Edge, admin: Credentials) -> ShopAdmin:
    """Sign the admin in."""
    return ShopAdmin(edge, bearer(edge.sign_in(admin.email, admin.password).access))


def stock_of(edge: Edge, product_id: str) -> int:
    """Give the stock of a product as everybody sees it."""
    return int(expect(edge.get(f"/products/{product_id}"), 200)["stock"])
