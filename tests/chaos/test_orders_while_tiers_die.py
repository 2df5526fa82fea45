"""kill -9 of one tier after the other while people order: no unit lost, no order made twice."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from tests.stores import Store, StoreKind, Stores
from tests.stores.waiting import eventually
from tests.system.books import Books, open_books
from tests.system.client import Edge
from tests.system.discretion import TIERS
from tests.system.processes import ArcanaProcesses
from tests.system.shoppers import Shopper, admin_of, shopper_of
from tests.system.sizes import sized

ORDERS = sized(200, 10_000)
KILLS = sized(3, 60)
CLIENTS = 12
PRODUCTS = 10
STOCK = ORDERS * 2
CANCELLED_SHARE = 0.2
# How long the orders from one kill to the next may take.
DECIDE_SECONDS = 240.0


class Crowd:
    """Places orders at random, and cancels some of them, until it is told that it is enough.

    Attributes:
        placed: the ids of the acknowledged orders, with what was ordered.
        cancelled: those whose cancellation was acknowledged.
        refused: how many orders asked for more than there was.
        again: how often one of them had to ask again.
    """

    def __init__(self, shopper: Shopper, products: list[str]) -> None:
        self._shopper = shopper
        self._products = products
        self._lock = threading.Lock()
        self._enough = threading.Event()
        self._numbers = itertools.count()
        self.placed: dict[str, dict[str, int]] = {}
        self.cancelled: set[str] = set()
        self.refused = 0
        self.again = 0

    def stop_after(self, orders: int) -> None:
        """Let them go on until so many orders have been decided in all."""
        self._goal = orders
        self._enough.set()

    def go_on(self, _client: int) -> None:
        """Be one of the crowd."""
        while not self._enough.is_set() or self.decided() < self._goal:
            self._order(Random(next(self._numbers)))

    def decided(self) -> int:
        """Return how many orders were placed or refused."""
        with self._lock:
            return len(self.placed) + self.refused

    def wait_for(self, orders: int) -> None:
        """Wait until so many orders have been decided."""
        eventually(lambda: self.decided() >= orders, DECIDE_SECONDS, f"{orders} orders")

    def _order(self, random: Random) -> None:
        wanted = random.sample(self._products, random.randint(1, 8))
        basket = {product_id: random.randint(1, 5) for product_id in wanted}
        answer = self._shopper.order(basket)
        if answer.status == 409:
            assert answer.code == "INSUFFICIENT_STOCK", answer
            with self._lock:
                self.refused += 1
            return
        # Nothing inside may show as another status.
        assert answer.status == 201, answer
        order_id = str(answer.body["id"])
        with self._lock:
            assert order_id not in self.placed, "two answers for one order"
            self.placed[order_id] = basket
            self.again += answer.again
        if random.random() < CANCELLED_SHARE:
            self._cancel(order_id)

    def _cancel(self, order_id: str) -> None:
        answer = self._shopper.ask("POST", f"/orders/{order_id}/cancel")
        # A cancellation whose answer was lost is refused when it is asked for again.
        done = answer.status == 200 or (answer.again and answer.code == "INVALID_STATE")
        assert done, answer
        with self._lock:
            self.cancelled.add(order_id)


@pytest.fixture
def shop_store(stores: Stores, store_kind: StoreKind) -> Store:
    return stores.new_store(store_kind)


@pytest.fixture
def arcana(
    shop_store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ArcanaProcesses]:
    home = tmp_path_factory.mktemp("dying")
    with ArcanaProcesses(home, shop_store, {"WORKERS": "2"}) as processes:
        yield processes


@pytest.fixture
def books(shop_store: Store) -> Iterator[Books]:
    with open_books(shop_store) as books:
        yield books


def test_no_unit_is_lost_and_every_acknowledged_order_is_there_once(
    arcana: ArcanaProcesses, books: Books
) -> None:
    with Edge(arcana.edge_url) as edge, ThreadPoolExecutor(CLIENTS) as clients:
        admin = admin_of(edge, arcana.admin)
        products = [admin.new_product(stock=STOCK) for _ in range(PRODUCTS)]
        shopper = shopper_of(edge, edge.new_account())
        crowd = Crowd(shopper, products)
        going = [clients.submit(crowd.go_on, number) for number in range(CLIENTS)]
        try:
            tiers = itertools.cycle(TIERS)
            for number, tier in enumerate(itertools.islice(tiers, KILLS)):
                # Spread over all orders; and people must have been served since the last one.
                crowd.wait_for(ORDERS * number // KILLS)
                arcana.kill(tier)
                arcana.restart(tier)
        finally:
            crowd.stop_after(ORDERS)
        for each in going:
            each.result()

        kept = books.orders()
        assert {order_id: dict(order.units) for order_id, order in kept.items()} == crowd.placed
        assert {id_ for id_, order in kept.items() if order.status == "cancelled"} == (
            crowd.cancelled
        )
        live = books.live_units()
        assert {
            product_id: stock + live[product_id] for product_id, stock in books.stock().items()
        } == dict.fromkeys(products, STOCK)
        created = Counter(
            event.aggregate_id for event in books.events() if event.type == "order.created"
        )
        assert created == dict.fromkeys(crowd.placed, 1)
        assert crowd.again, "nobody noticed that a tier was killed"
        assert arcana.deadlocks() == []
        seen = shopper.ask("GET", "/orders?size=1")
        assert (seen.status, seen.body["total"]) == (200, len(crowd.placed))
