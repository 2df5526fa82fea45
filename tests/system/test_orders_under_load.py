"""Money and stock under many hands: nothing is sold twice, nor at a price of yesterday.

Small in every run; `make stress` does all that issue 4 promises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from threading import Event, Semaphore

import pytest

from tests.stores import Store, StoreKind, Stores
from tests.system.books import Books, open_books
from tests.system.client import Edge
from tests.system.load import all_at_once
from tests.system.processes import ArcanaProcesses
from tests.system.shoppers import (
    PATIENCE_SECONDS,
    Answer,
    ShopAdmin,
    Shopper,
    admin_of,
    new_key,
    shopper_of,
    stock_of,
)
from tests.system.sizes import sized

CLIENTS = 50
DECREMENTS = {"real": sized(600, 10_000), "embedded": sized(300, 2_000)}
KEYS = sized(20, 200)
AT_ONCE = 10
PRICE_CHANGES = sized(60, 1_000)
ORDERS_MEANWHILE = sized(150, 3_000)
# So many changes come as fast as they can; the next ones wait for somebody to have bought.
CHANGES_AT_ONCE = 4


@pytest.fixture(scope="module")
def shop_store(stores: Stores, store_kind: StoreKind) -> Store:
    return stores.new_store(store_kind)


@pytest.fixture(scope="module")
def arcana(
    shop_store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ArcanaProcesses]:
    """Run all tiers, each inner one with two processes where the store allows it."""
    home = tmp_path_factory.mktemp("shop")
    with ArcanaProcesses(home, shop_store, {"WORKERS": "2"}) as processes:
        yield processes


@pytest.fixture(scope="module")
def edge(arcana: ArcanaProcesses) -> Iterator[Edge]:
    with Edge(arcana.edge_url) as edge:
        yield edge


@pytest.fixture(scope="module")
def books(shop_store: Store) -> Iterator[Books]:
    with open_books(shop_store) as books:
        yield books


@pytest.fixture(scope="module")
def admin(arcana: ArcanaProcesses, edge: Edge) -> ShopAdmin:
    return admin_of(edge, arcana.admin)


@pytest.fixture(scope="module")
def shopper(edge: Edge) -> Shopper:
    return shopper_of(edge, edge.new_account())


def test_of_ten_who_want_each_unit_exactly_one_gets_it(
    arcana: ArcanaProcesses, admin: ShopAdmin, edge: Edge, books: Books, store_kind: StoreKind
) -> None:
    wanted = DECREMENTS[store_kind]
    units = wanted // 10
    product_id = admin.new_product(stock=units)

    def take_one(_number: int) -> Answer:
        body = {"quantity_change": -1}
        return admin.ask("PATCH", f"/products/{product_id}/stock", body, key=new_key())

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(take_one, range(wanted)))

    assert Counter((answer.status, answer.code) for answer in answers) == {
        (200, ""): units,
        (409, "INSUFFICIENT_STOCK"): wanted - units,
    }
    assert arcana.deadlocks() == []
    # Each of those who got one saw another stock, one unit below the one before.
    left = sorted(answer.body["stock"] for answer in answers if answer.status == 200)
    assert left == list(range(units))
    assert books.stock()[product_id] == 0
    assert books.movements(product_id) == [units] + [-1] * units
    assert stock_of(edge, product_id) == 0


def test_one_key_used_ten_times_at_once_is_one_order_with_one_answer(
    admin: ShopAdmin, shopper: Shopper, books: Books
) -> None:
    product_id = admin.new_product(stock=KEYS * 3)
    before = set(books.orders())
    keys = [new_key() for _ in range(KEYS)]
    ids = set()
    for key in keys:
        answers = all_at_once(AT_ONCE, partial(_order_two, shopper, product_id, key))
        first = answers[0].body
        assert [(answer.status, answer.body) for answer in answers] == [(201, first)] * AT_ONCE
        made = [answer for answer in answers if "Idempotent-Replay" not in answer.headers]
        # The one who made it may have been told to come again, and have it replayed then.
        assert len(made) == 1 or (not made and any(answer.again for answer in answers))
        ids.add(first["id"])

    assert len(ids) == KEYS
    assert set(books.orders()) - before == ids
    assert books.stock()[product_id] == KEYS


def test_no_order_is_sold_at_a_price_that_was_not_current_in_its_transaction(
    admin: ShopAdmin, shopper: Shopper, books: Books
) -> None:
    product_id = admin.new_product(stock=ORDERS_MEANWHILE * 3, price="1.00")
    # Every change has a price of its own, and is known by its request's id.
    prices = {f"price-{new_key()}": 101 + number for number in range(PRICE_CHANGES)}
    one_was_sold, half_are_changed = Semaphore(0), Event()

    def change_price(request_id: str) -> None:
        changes_before = prices[request_id] - 101
        if changes_before % CHANGES_AT_ONCE == CHANGES_AT_ONCE - 1:
            assert one_was_sold.acquire(timeout=PATIENCE_SECONDS), "nobody buys"
        if changes_before * 2 >= PRICE_CHANGES:
            half_are_changed.set()
        body = {"price": _decimal(prices[request_id])}
        headers = {"X-Request-ID": request_id}
        answer = admin.ask("PATCH", f"/products/{product_id}", body, headers=headers)
        assert answer.status == 200, answer

    def order_some(number: int) -> Answer:
        if number * 2 >= ORDERS_MEANWHILE:
            assert half_are_changed.wait(PATIENCE_SECONDS), "prices stay"
        answer = shopper.order({product_id: Random(number).randint(1, 3)})
        # Who is outrun by prices five times is told to come again.
        assert answer.status == 201, answer
        one_was_sold.release()
        return answer

    # Two admins, whose changes interleave as well.
    with ThreadPoolExecutor(2) as admins, ThreadPoolExecutor(10) as shoppers:
        changed = admins.map(change_price, prices)
        sold = list(shoppers.map(order_some, range(ORDERS_MEANWHILE)))
        assert len(list(changed)) == PRICE_CHANGES

    # The outbox tells in which order they came. A change writes its event while it has locked the
    # product. An order writes its own before that; but it has read a price that was committed by
    # then, and a change that comes before the order's lock makes it start anew.
    price, kept = 100, books.orders()
    paid: dict[str, int] = {}
    seen: set[str] = set()
    for event in books.events():
        if event.type == "product.updated" and event.aggregate_id == product_id:
            price = prices[event.request_id]
            seen.add(event.request_id)
        elif event.type == "order.created" and product_id in kept[event.aggregate_id].unit_prices:
            assert kept[event.aggregate_id].unit_prices[product_id] == price
            paid[event.aggregate_id] = price
    assert seen == set(prices)
    assert set(paid) == {answer.body["id"] for answer in sold}
    assert len(set(paid.values())) > 1, "no order came between two changes"
    for answer in sold:
        (item,) = answer.body["items"]
        minor = paid[answer.body["id"]]
        assert item["unit_price"] == _decimal(minor)
        assert answer.body["total"] == _decimal(item["quantity"] * minor)
    books.stock()


def _order_two(shopper: Shopper, product_id: str, key: str, _number: int) -> Answer:
    return shopper.order({product_id: 2}, key=key)


def _decimal(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"
