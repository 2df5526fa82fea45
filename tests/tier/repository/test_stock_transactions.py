"""What can happen in the middle of a transaction that moves stock, on MySQL.

SQLite has one writer at a time, so there nothing can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine, event, select

from arcana.repository.v1 import order_pb2, product_pb2
from arcana.repository.v1.order_repository_pb2 import PlaceOrderResponse
from repository_tier.cache.memory_store import MemoryStore
from repository_tier.cache.message_cache import CacheTimes, MessageCache
from repository_tier.database import Database
from repository_tier.engine import Engines, PoolSettings, make_engines
from repository_tier.idempotency import once_key_from_proto
from repository_tier.order_stock import NewOrder, OrderLine
from repository_tier.orders import Orders, StatusChange
from repository_tier.outbox import events_from_proto
from repository_tier.stock import Stock, StockChange
from repository_tier.stock_events import Cause
from repository_tier.tables import orders
from repository_tier.totals import Totals
from tests.fakes.clock import FakeClock
from tests.stores import Store
from tests.tier.repository.requests import Requests
from tests.tier.repository.shelf import Shelf
from tier_runtime.breaker import Breaker
from tier_runtime.clock import SystemClock
from tier_runtime.deadline import Deadline
from tier_runtime.ids import Uuid7Source

ProductCache = MessageCache[product_pb2.Product]

CAUSE = Cause("r-1", "")
DEADLOCK = "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'again'"


@pytest.fixture
def engines(real_store: Store) -> Iterator[Engines]:
    made = make_engines(real_store.database_url, PoolSettings(4, 1.0, 10, 30.0))
    yield made
    made.close()


@pytest.fixture
def database(engines: Engines) -> Database:
    return Database(engines, SystemClock(), Random(1))


@pytest.fixture
def cache(clock: FakeClock) -> ProductCache:
    breaker = Breaker(clock, 3, 1.0, lambda _is_open: None)
    return MessageCache("product", MemoryStore(clock, 100), breaker, CacheTimes(60, 5), Random(1))


@pytest.fixture
def stock(database: Database, cache: ProductCache, clock: FakeClock) -> Stock:
    return Stock(database, cache, Totals(clock), clock, Uuid7Source())


@pytest.fixture
def placing(database: Database, cache: ProductCache, clock: FakeClock) -> Orders:
    return Orders(database, cache, clock, Uuid7Source())


@pytest.fixture
def real_shelf(engines: Engines, clock: FakeClock) -> Iterator[Shelf]:
    """Puts products into the real store, by connections that no test listens to."""
    others = make_engines(engines.writers.url.render_as_string(False), PoolSettings(2, 1, 10, 30))
    shelf = Shelf(others.writers, clock)
    yield shelf
    shelf.require_balance()
    others.close()


@contextmanager
def right_after(
    engine: Engine, beginning: str, act: Callable[[], object], number: int = 1
) -> Iterator[None]:
    """Do something once, right after the statement of this number that begins so."""
    seen = 0

    def look(*told: Any) -> None:
        nonlocal seen
        statement: str = told[2]
        if statement.startswith(beginning):
            seen += 1
            if seen == number:
                act()

    event.listen(engine, "after_cursor_execute", look)
    try:
        yield
    finally:
        event.remove(engine, "after_cursor_execute", look)
    assert seen >= number


@contextmanager
def deadlock_at_first(engine: Engine, beginning: str) -> Iterator[None]:
    """Have the database fail the first statement that begins so with a deadlock."""
    done = False

    def look(*told: Any) -> tuple[str, Any]:
        nonlocal done
        statement: str = told[2]
        if statement.startswith(beginning) and not done:
            done = True
            is_many: bool = told[5]
            return DEADLOCK, [()] if is_many else ()
        return statement, told[3]

    event.listen(engine, "before_cursor_execute", look, retval=True)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", look)
    assert done


def soon() -> Deadline:
    return Deadline.after(20)


def place(placing: Orders, make: Requests, *product_ids: str) -> PlaceOrderResponse:
    """Place an order of one unit each, with a key and an event."""
    lines = [OrderLine(product_id, 1, 1000, 0) for product_id in product_ids]
    order = NewOrder(make.new_id(), make.new_id(), lines, "USD", "regular")
    key = once_key_from_proto(make.key(order.id))
    events = events_from_proto([make.event(type="order.created", aggregate_id=order.id)])
    return placing.place(order, key, CAUSE, events, soon())


def test_units_are_taken_by_the_key_of_their_row_whatever_else_is_asked_of_it(
    engines: Engines, placing: Orders, real_shelf: Shelf, make: Requests
) -> None:
    # By an index of price or status the order of locks would be another one.
    product_id = real_shelf.put()
    plans: list[Any] = []

    def look(*told: Any) -> None:
        cursor, statement, parameters = told[1:4]
        if statement.startswith("UPDATE products"):
            cursor.execute(f"EXPLAIN FORMAT=TRADITIONAL {statement}", parameters)
            names = [column[0] for column in cursor.description]
            plans.extend(dict(zip(names, row, strict=True)) for row in cursor.fetchall())

    event.listen(engines.writers, "before_cursor_execute", look)
    try:
        place(placing, make, product_id)
    finally:
        event.remove(engines.writers, "before_cursor_execute", look)
    assert [plan["key"] for plan in plans] == ["PRIMARY"]


def test_a_change_whose_reason_to_fail_is_gone_is_made(
    engines: Engines, stock: Stock, real_shelf: Shelf
) -> None:
    product_id = real_shelf.put(stock=0)
    change = StockChange(product_id, 0, -1, "")
    with right_after(engines.writers, "UPDATE products", lambda: real_shelf.add(product_id, 5)):
        made = stock.update(change, None, CAUSE, [], soon())
    assert made.product.stock == real_shelf.stock(product_id) == 4


def test_an_order_whose_reason_to_fail_is_gone_is_placed(
    engines: Engines, placing: Orders, real_shelf: Shelf, make: Requests
) -> None:
    # The first product is taken already when the second one is found short.
    first, second = real_shelf.put_many(2, stock=1)
    place(placing, make, second)
    with right_after(
        engines.writers, "UPDATE products", lambda: real_shelf.add(second, 5), number=2
    ):
        placed = place(placing, make, second, first)
    assert [item.product_id for item in placed.order.items] == [second, first]
    assert (real_shelf.stock(first), real_shelf.stock(second)) == (0, 4)


def test_a_status_whose_reason_to_stay_is_gone_is_changed(
    engines: Engines, placing: Orders, real_shelf: Shelf, make: Requests
) -> None:
    order_id = place(placing, make, real_shelf.put()).order.id
    to_paid = StatusChange(order_id, 0, frozenset({"pending"}), "paid")
    to_shipped = StatusChange(order_id, 0, frozenset({"paid"}), "shipped")
    with right_after(
        engines.writers, "UPDATE orders", lambda: placing.update_status(to_paid, [], soon())
    ):
        order = placing.update_status(to_shipped, [], soon())
    assert (order.status, order.version) == (order_pb2.ORDER_STATUS_SHIPPED, 3)


@pytest.mark.parametrize(
    "beginning",
    [
        "INSERT INTO idempotency_keys",
        "INSERT INTO orders",
        "INSERT INTO outbox_events",
        "UPDATE products",
        "INSERT INTO stock_movements",
        "INSERT INTO order_items",
        "UPDATE idempotency_keys",
    ],
)
def test_an_order_that_meets_a_deadlock_is_placed_once_all_the_same(
    engines: Engines,
    placing: Orders,
    cache: ProductCache,
    real_shelf: Shelf,
    make: Requests,
    beginning: str,
) -> None:
    several = real_shelf.put_many(2, stock=1)
    with deadlock_at_first(engines.writers, beginning):
        placed = place(placing, make, *several)
    assert not placed.replayed
    assert [real_shelf.stock(one) for one in several] == [0, 0]
    for product_id in several:
        assert real_shelf.ledger(product_id)[1:] == [(-1, "order_placed")]
    with engines.readers.connect() as connection:
        wanted = select(orders.c.version).where(orders.c.id == placed.order.id)
        assert connection.scalar(wanted) == 1
    told = [one.aggregate_id for one in real_shelf.events() if one.aggregate_id in several]
    assert told == several
    assert {id_: entry.version for id_, entry in cache.known(several).items()} == dict.fromkeys(
        several, 2
    )
