"""Generated stories of a shop, told to the edge and to a model in memory: they never differ.

Short in every run; `make stress` tells the 500 stories of 30 steps that issue 4 asks for.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest
import requests
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    rule,
    run_state_machine_as_test,
)

from tests.stores import Stores
from tests.system.client import Account, Edge, Json, expect, expect_empty, expect_problem
from tests.system.discretion import watched_edge
from tests.system.processes import ArcanaProcesses
from tests.system.shop_model import (
    CANCELLABLE,
    NEXT_STATUS,
    ModelOrder,
    ModelProduct,
    money,
    order_amounts,
)
from tests.system.sizes import sized

STORIES = sized(8, 500)
STEPS = 30
STATUSES = ("draft", "active", "inactive", "archived")
UNLIMITED = {"RATE_LIMIT_ENABLED": "false"}

cents = st.integers(0, 99_999).map(lambda hundredths: Decimal(hundredths) / 100)
# Mostly what can be sold.
statuses = st.sampled_from((*STATUSES, "active", "active", "active"))
whose = st.sampled_from(("regular", "premium"))


@dataclass(frozen=True, slots=True)
class Shop:
    """The running shop, and who calls: an admin, and two customers of whom one is premium."""

    edge: Edge
    admin: dict[str, str]
    customers: dict[str, Account]


@pytest.fixture(scope="module")
def arcana(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArcanaProcesses]:
    home = tmp_path_factory.mktemp("model")
    with ArcanaProcesses(home, stores.new_store("embedded"), UNLIMITED) as processes:
        yield processes


@pytest.fixture(scope="module")
def shop(arcana: ArcanaProcesses) -> Iterator[Shop]:
    with watched_edge(arcana) as edge:
        token = edge.sign_in(arcana.admin.email, arcana.admin.password).access
        admin = {"Authorization": f"Bearer {token}"}
        premium = edge.new_account("Premium")
        path = f"/users/{premium.id}/roles"
        expect(edge.call("PUT", path, {"roles": ["premium", "user"]}, headers=admin), 200)
        # Tokens say which roles their user has, so a new one is needed.
        tokens = edge.sign_in(premium.email, premium.password)
        premium = Account(premium.id, premium.email, premium.password, tokens)
        yield Shop(edge, admin, {"regular": edge.new_account("Regular"), "premium": premium})


class ShopStory(RuleBasedStateMachine):
    """One story: all of its products have a category of their own, so that it can list them."""

    products: Bundle[ModelProduct] = Bundle("products")
    orders: Bundle[ModelOrder] = Bundle("orders")

    def __init__(self, shop: Shop) -> None:
        super().__init__()
        self._edge, self._admin, self._customers = shop.edge, shop.admin, shop.customers
        self._category = secrets.token_hex(8)
        self._all: list[ModelProduct] = []

    @initialize(target=products, price=cents, stock=st.integers(0, 40))
    def begins_with_something_for_sale(self, price: Decimal, stock: int) -> ModelProduct:
        return self._made(price, stock, "active")

    @rule(target=products, price=cents, stock=st.integers(0, 40), status=statuses)
    def makes_a_product(self, price: Decimal, stock: int, status: str) -> ModelProduct:
        return self._made(price, stock, status)

    @rule(product=products, price=cents, current=st.booleans())
    def changes_a_price(self, product: ModelProduct, price: Decimal, current: bool) -> None:
        version = product.version if current else product.version + 1
        headers = {"If-Match": f'"v{version}"'}
        answer = self._patch(product, {"price": money(price)}, headers)
        if not current:
            expect_problem(answer, 412, "PRECONDITION_FAILED")
            return
        self._changed(product, price=price)
        self._is_shown(product, expect(answer, 200), answer)

    @rule(product=products, status=statuses)
    def changes_a_status(self, product: ModelProduct, status: str) -> None:
        answer = self._patch(product, {"status": status})
        self._changed(product, status=status)
        self._is_shown(product, expect(answer, 200), answer)

    @rule(product=products)
    def archives(self, product: ModelProduct) -> None:
        path = f"/products/{product.id}"
        expect_empty(self._edge.call("DELETE", path, headers=self._admin))
        self._changed(product, status="archived")

    @rule(product=products, change=st.integers(-50, 50).filter(bool))
    def changes_stock(self, product: ModelProduct, change: int) -> None:
        available = product.stock
        path = f"/products/{product.id}/stock"
        answer = self._edge.call("PATCH", path, {"quantity_change": change}, headers=self._admin)
        if product.move(change):
            self._is_shown(product, expect(answer, 200), answer)
        else:
            problem = expect_problem(answer, 409, "INSUFFICIENT_STOCK")
            assert f"{available} available" in str(problem["errors"])

    @rule(
        changes=st.lists(
            st.tuples(products, st.integers(-30, 30).filter(bool)), min_size=1, max_size=6
        )
    )
    def changes_stock_in_a_batch(self, changes: list[tuple[ModelProduct, int]]) -> None:
        body = {
            "changes": [
                {"product_id": product.id, "quantity_change": change} for product, change in changes
            ]
        }
        answer = expect(self._edge.post("/products/stock/batch", body, headers=self._admin), 200)
        refused = [n for n, (product, change) in enumerate(changes) if not product.move(change)]
        assert answer["success_count"] == len(changes) - len(refused)
        assert answer["failure_count"] == len(refused)
        assert [(error["index"], error["code"]) for error in answer["errors"]] == [
            (number, "INSUFFICIENT_STOCK") for number in refused
        ]

    @rule(
        target=orders,
        who=whose,
        items=st.lists(st.tuples(products, st.integers(1, 15)), min_size=1, max_size=8),
    )
    def orders_something(self, who: str, items: list[tuple[ModelProduct, int]]) -> ModelOrder:
        body = {"items": [{"product_id": p.id, "quantity": q} for p, q in items]}
        answer = self._edge.post("/orders", body, headers=self._customers[who].bearer)
        placed = ModelOrder("", who, items)
        wanted = placed.units()
        by_id = {product.id: product for product, _ in items}
        if any(product.status != "active" for product in by_id.values()):
            expect_problem(answer, 404, "PRODUCT_NOT_FOUND")
        elif any(by_id[id_].stock < units for id_, units in wanted.items()):
            problem = expect_problem(answer, 409, "INSUFFICIENT_STOCK")
            assert set(problem["errors"]) == {
                f"items.{number}.quantity"
                for number, (product, _) in enumerate(items)
                if product.stock < wanted[product.id]
            }
        else:
            placed.id = self._order_is_as_it_must_be(expect(answer, 201), who, items)
            for id_, units in wanted.items():
                assert by_id[id_].move(-units)
        return placed

    @rule(order=orders)
    def cancels(self, order: ModelOrder) -> None:
        if not order.id:
            return
        headers = self._customers[order.owner].bearer
        answer = self._edge.post(f"/orders/{order.id}/cancel", headers=headers)
        if order.status not in CANCELLABLE:
            expect_problem(answer, 409, "INVALID_STATE")
            return
        order.status = "cancelled"
        assert expect(answer, 200)["status"] == "cancelled"
        by_id = {product.id: product for product, _ in order.items}
        for id_, units in order.units().items():
            assert by_id[id_].move(units)

    @rule(order=orders, status=st.sampled_from((*NEXT_STATUS, "delivered", "cancelled")))
    def carries_an_order_on(self, order: ModelOrder, status: str) -> None:
        if not order.id:
            return
        path, body = f"/orders/{order.id}/status", {"status": status}
        answer = self._edge.call("PATCH", path, body, headers=self._admin)
        if NEXT_STATUS.get(order.status) != status:
            expect_problem(answer, 409, "INVALID_STATE")
            return
        order.status = status
        assert expect(answer, 200)["status"] == status

    @rule(order=consumes(orders))
    def looks_at_an_order(self, order: ModelOrder) -> None:
        if not order.id:
            return
        path = f"/orders/{order.id}"
        shown = expect(self._edge.get(path, headers=self._customers[order.owner].bearer), 200)
        assert (shown["id"], shown["status"]) == (order.id, order.status)
        (stranger,) = self._customers.keys() - {order.owner}
        answer = self._edge.get(path, headers=self._customers[stranger].bearer)
        expect_problem(answer, 404, "ORDER_NOT_FOUND")

    @rule(product=products)
    def looks_at_a_product(self, product: ModelProduct) -> None:
        path = f"/products/{product.id}"
        answer = self._edge.get(path, headers=self._admin)
        self._is_shown(product, expect(answer, 200), answer)
        answer = self._edge.get(path)
        if product.status == "active":
            self._is_shown(product, expect(answer, 200), answer)
        else:
            expect_problem(answer, 404, "PRODUCT_NOT_FOUND")

    @rule(product=products)
    def looks_at_a_ledger(self, product: ModelProduct) -> None:
        path = f"/products/{product.id}/stock/movements"
        shown = expect(self._edge.get(path, headers=self._admin, params={"size": "100"}), 200)
        assert [row["quantity_change"] for row in shown["data"]] == product.movements
        assert sum(product.movements) == product.stock

    @rule(in_stock=st.sampled_from((None, "true", "false")))
    def lists_what_is_for_sale(self, in_stock: str | None) -> None:
        params = {"category": self._category, "sort": "price", "size": "100"}
        if in_stock is not None:
            params["in_stock"] = in_stock
        shown = expect(self._edge.get("/products", params=params), 200)
        wanted = [
            product
            for product in self._all
            if product.status == "active"
            and (in_stock is None or (product.stock > 0) == (in_stock == "true"))
        ]
        wanted.sort(key=lambda product: (product.price, product.id))
        assert [row["id"] for row in shown["data"]] == [product.id for product in wanted]
        assert shown["total"] == len(wanted)
        for product, row in zip(wanted, shown["data"], strict=True):
            self._is_shown(product, row)

    @rule()
    def searches(self) -> None:
        params = {"q": self._category[:6], "limit": "100"}
        shown = expect(self._edge.get("/products/search", params=params), 200)
        wanted = {product.id: product for product in self._all if product.status == "active"}
        # A beginning of six letters may be another story's too.
        found = {row["id"]: row for row in shown["data"] if row["category"] == self._category}
        assert found.keys() == wanted.keys()
        for id_, row in found.items():
            self._is_shown(wanted[id_], row)

    def _made(self, price: Decimal, stock: int, status: str) -> ModelProduct:
        name = f"Lamp {len(self._all)}"
        body = {
            "name": name,
            "price": money(price),
            "stock": stock,
            "status": status,
            "category": self._category,
        }
        answer = self._edge.post("/products", body, headers=self._admin)
        made = expect(answer, 201)
        product = ModelProduct(made["id"], name, price, status, self._category, stock)
        self._all.append(product)
        self._is_shown(product, made, answer)
        return product

    def _patch(
        self, product: ModelProduct, body: Json, headers: dict[str, str] | None = None
    ) -> requests.Response:
        path = f"/products/{product.id}"
        return self._edge.call("PATCH", path, body, headers=self._admin | (headers or {}))

    def _changed(
        self, product: ModelProduct, *, price: Decimal | None = None, status: str = ""
    ) -> None:
        """Change the model as the edge must have; what changes nothing makes no new version."""
        new = (product.price if price is None else price, status or product.status)
        if new != (product.price, product.status):
            product.price, product.status = new
            product.version += 1

    def _is_shown(
        self, product: ModelProduct, shown: Json, answer: requests.Response | None = None
    ) -> None:
        wanted = product.document()
        assert {name: shown[name] for name in wanted} == wanted
        if answer is not None:
            assert answer.headers["ETag"] == f'"v{product.version}"'

    def _order_is_as_it_must_be(
        self, shown: Json, who: str, items: list[tuple[ModelProduct, int]]
    ) -> str:
        wanted = order_amounts(items, premium=who == "premium")
        lines = wanted.pop("lines")
        assert {name: shown[name] for name in wanted} == wanted
        assert (shown["status"], shown["currency"]) == ("pending", "USD")
        assert shown["user_id"] == self._customers[who].id
        assert [
            (item["unit_price"], item["discount"], item["line_total"]) for item in shown["items"]
        ] == lines
        assert [
            (item["product_id"], item["name"], item["quantity"]) for item in shown["items"]
        ] == [(product.id, product.name, quantity) for product, quantity in items]
        return str(shown["id"])


@pytest.mark.timeout(3600)
def test_no_story_makes_the_shop_differ_from_its_model(shop: Shop) -> None:
    class Told(ShopStory):
        def __init__(self) -> None:
            super().__init__(shop)

    run_state_machine_as_test(
        Told,
        settings=settings(
            max_examples=STORIES,
            stateful_step_count=STEPS,
            deadline=None,
            # Stories are told to a running system, which remembers them.
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
