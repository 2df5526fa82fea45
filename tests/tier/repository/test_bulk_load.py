from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, delete, func, insert, select, update

from arcana.repository.v1.user_pb2 import User
from arcana.repository.v1.user_repository_pb2 import GetCredentialsRequest, GetUserRequest
from launcher.demo.goods import make_product
from launcher.demo.people import make_user
from launcher.demo.sales import Sales
from launcher.tiers import price_list
from repository_tier.bulk_load import BulkLoad, PlacedOrder, StockedProduct, open_bulk_load
from repository_tier.embedded_file import own
from repository_tier.engine import sqlite_file
from repository_tier.product_rows import find_products
from repository_tier.tables import (
    order_items,
    orders,
    outbox_events,
    product_search,
    products,
    stock_movements,
    user_roles,
    users,
)
from tests.stores import Store
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import Uuid7Source
from tier_runtime.startup import StartupError

PRODUCTS, USERS, ORDERS = 12, 5, 60
HASH = "scrypt:1024:8:1$salt$0123456789abcdef"


@pytest.fixture
def bulk(empty_store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[BulkLoad]:
    """Load into the empty store."""
    for name, value in empty_store.environ().items():
        monkeypatch.setenv(name, value)
    with open_bulk_load() as bulk:
        yield bulk


def _users(first: int = 0, last: int = USERS) -> list[User]:
    return [make_user(number) for number in range(first, last)]


def _products(first: int = 0, last: int = PRODUCTS) -> list[StockedProduct]:
    made = [make_product(number) for number in range(first, last)]
    return [(each.product, each.movements) for each in made]


def _orders(count: int = ORDERS) -> list[PlacedOrder]:
    sold = Sales(PRODUCTS, USERS, price_list()).orders(count)
    return [(each.order, each.movements) for each in sold]


def _load_all(bulk: BulkLoad) -> tuple[int, int, tuple[int, int]]:
    return bulk.users(_users(), HASH), bulk.products(_products()), bulk.orders(_orders())


def _everything(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    shop = (products, product_search, stock_movements, orders, order_items)
    tables = (users, user_roles, *shop, outbox_events)
    with engine.begin() as connection:
        return {
            table.name: sorted(tuple(row) for row in connection.execute(select(table)))
            for table in tables
        }


def _stock(engine: Engine) -> dict[str, int]:
    """Return the stock of each product, once the ledger has been seen to say the same."""
    ledger = (
        select(func.coalesce(func.sum(stock_movements.c.quantity_change), 0))
        .where(stock_movements.c.product_id == products.c.id)
        .scalar_subquery()
    )
    with engine.begin() as connection:
        found = connection.execute(select(products.c.id, products.c.stock, ledger.label("ledger")))
        rows = list(found)
    assert [row.stock for row in rows] == [int(row.ledger) for row in rows]
    return {row.id: row.stock for row in rows}


def test_what_was_loaded_is_what_was_given(
    bulk: BulkLoad, tier: RunningTier, store_engine: Engine
) -> None:
    assert _load_all(bulk) == (USERS, PRODUCTS, (ORDERS, 0))

    for user in _users():
        assert tier.users.GetUser(GetUserRequest(user_id=user.id)).user == user
        found = tier.users.GetCredentials(GetCredentialsRequest(email=user.email.upper()))
        assert (found.user.id, found.credentials.password_hash) == (user.id, HASH)
    with store_engine.begin() as connection:
        stored = {
            product.id: product
            for product in find_products(connection, [product.id for product, _ in _products()])
        }
    stock = _stock(store_engine)
    movements = [each for _, moved in _orders() for each in moved]
    for product, _ in _products():
        moved = [move.quantity_change for id_, move in movements if id_ == product.id]
        assert stock[product.id] == product.stock + sum(moved)
        if not moved:
            assert stored[product.id] == product
        else:
            assert stored[product.id].version > product.version
            assert stored[product.id].updated_time.seconds > product.updated_time.seconds
    rows = _everything(store_engine)
    assert len(rows["orders"]) == ORDERS
    items = [(order.id, item) for order, _ in _orders() for item in order.items]
    with store_engine.begin() as connection:
        in_order = select(order_items).order_by(order_items.c.order_id, order_items.c.line)
        kept = list(connection.execute(in_order).mappings())
    assert [(row["order_id"], row["name"], row["line_total_minor"]) for row in kept] == [
        (order_id, item.name, item.line_total_minor) for order_id, item in items
    ]
    # Nobody is told of what was loaded.
    assert rows["outbox_events"] == []


def test_loading_again_changes_nothing_and_adds_what_is_missing(
    bulk: BulkLoad, store_engine: Engine
) -> None:
    bulk.users(_users(0, 2), HASH)
    bulk.products(_products(3, 7))
    assert _load_all(bulk) == (USERS - 2, PRODUCTS - 4, (ORDERS, 0))
    before = _everything(store_engine)

    assert _load_all(bulk) == (0, 0, (0, 0))

    assert _everything(store_engine) == before


def test_orders_that_the_stock_does_not_allow_are_left_out_and_the_others_are_sold(
    bulk: BulkLoad, store_engine: Engine
) -> None:
    bulk.products(_products())
    scarce = _orders()[0][0].items[0].product_id
    with store_engine.begin() as connection:
        # Somebody has bought nearly all of it meanwhile.
        there = select(products.c.stock).where(products.c.id == scarce)
        gone = connection.scalars(there).one() - 1
        connection.execute(update(products).where(products.c.id == scarce).values(stock=1))
        connection.execute(
            insert(stock_movements).values(
                product_id=scarce,
                id=Uuid7Source().new_id(),
                quantity_change=-gone,
                reason="order_placed",
                order_id=None,
                created_time=datetime.now(UTC),
            )
        )

    made, left_out = bulk.orders(_orders())

    assert made + left_out == ORDERS
    assert made
    assert left_out
    with store_engine.begin() as connection:
        kept = set(connection.scalars(select(orders.c.id)))
        lines = set(connection.scalars(select(order_items.c.order_id)))
    assert len(kept) == made
    assert lines == kept
    assert _stock(store_engine)[scarce] >= 0


def test_an_order_of_products_that_are_not_there_is_left_out(
    bulk: BulkLoad, store_engine: Engine
) -> None:
    assert bulk.orders(_orders(3)) == (0, 3)
    assert _everything(store_engine)["orders"] == []


def test_somebody_else_keeps_an_address_that_a_demo_user_would_have(
    bulk: BulkLoad, tier: RunningTier, make: Requests
) -> None:
    taken = _users()[1].email.upper()
    theirs = tier.users.CreateUser(make.user(email=taken)).user

    assert bulk.users(_users(), HASH) == USERS - 1

    found = tier.users.GetCredentials(GetCredentialsRequest(email=taken))
    assert found.user.id == theirs.id


def test_what_does_not_add_up_is_refused_and_nothing_of_its_batch_is_loaded(
    bulk: BulkLoad, store_engine: Engine
) -> None:
    wrong_stock = _products()
    wrong_stock[-1][0].stock += 1
    wrong_user = _users()
    wrong_user[-1].email = "nobody"
    bulk.products(_products())
    wrong_total, wrong_line, wrong_units, no_items, no_movement = (_orders(8) for _ in range(5))
    wrong_total[7][0].total_minor += 1
    wrong_line[7][0].items[0].discount_minor = -1
    wrong_units[7][0].items[0].quantity += 1
    del no_items[7][0].items[:]
    no_movement[7][1][0][1].quantity_change = 0

    loads: list[Callable[[], object]] = [partial(bulk.users, wrong_user, HASH)]
    wrong_orders = (wrong_total, wrong_line, wrong_units, no_items, no_movement)
    loads += [partial(bulk.orders, batch) for batch in wrong_orders]
    for load in loads:
        with pytest.raises(AppError) as caught:
            load()
        assert (caught.value.kind, caught.value.code) == (Kind.INVALID, "VALIDATION_FAILED")
    with store_engine.begin() as connection:
        for table in (stock_movements, product_search, products):
            connection.execute(delete(table))
    with pytest.raises(AppError):
        bulk.products(wrong_stock)

    assert not any(_everything(store_engine).values())


def test_tiers_that_share_a_cache_see_the_new_stock_at_once(
    bulk: BulkLoad, empty_store: Store
) -> None:
    if not empty_store.redis_url:
        # The embedded cache is inside the tier's process; see the next test.
        assert not bulk.leaves_cache_behind
        return
    bulk.products(_products())
    bulk.orders(_orders())

    sold = {item.product_id for order, _ in _orders() for item in order.items}
    with redis.Redis.from_url(empty_store.redis_url) as client:
        versions = {id_: client.hget(f"arcana:cache:product:{id_}", "version") for id_ in sold}
    originals = {product.id: product.version for product, _ in _products()}
    assert {id_: int(version or 0) for id_, version in versions.items()} == {
        id_: originals[id_] + 1 for id_ in sold
    }


def test_beside_a_tier_that_owns_the_file_it_loads_and_says_that_it_cannot_reach_the_cache(
    empty_store: Store, store_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = sqlite_file(empty_store.database_url)
    for name, value in empty_store.environ().items():
        monkeypatch.setenv(name, value)
    with ExitStack() as owned:
        if file is not None:
            owned.callback(own(file))
        with open_bulk_load() as bulk:
            assert bulk.leaves_cache_behind == (file is not None)
            assert _load_all(bulk) == (USERS, PRODUCTS, (ORDERS, 0))
    assert len(_stock(store_engine)) == PRODUCTS


def test_while_it_loads_no_tier_starts_on_the_embedded_file(
    bulk: BulkLoad, empty_store: Store
) -> None:
    file = sqlite_file(empty_store.database_url)
    if file is None:
        assert not bulk.leaves_cache_behind
        return
    with pytest.raises(StartupError):
        own(file)


def test_a_database_without_tables_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'new.db'}")
    with pytest.raises(StartupError, match="arcana migrate"), open_bulk_load():
        pass
