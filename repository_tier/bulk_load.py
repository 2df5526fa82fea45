"""Loads users, products and orders in bulk, past the use cases: what `arcana seed` runs.

What is there already stays as it is. The ledger holds in every transaction: what an order has taken
is in it or the order is not there. No events tell of what was loaded.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from random import SystemRandom
from threading import Event
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, case, func, insert, select, update

from arcana.repository.v1 import order_pb2, product_pb2, user_pb2
from repository_tier.bulk_rows import (
    OrderMovements,
    Row,
    item_rows,
    movement_row,
    order_row,
    product_row,
    user_row,
    words_row,
)
from repository_tier.cache.message_cache import CacheTimes, MessageCache
from repository_tier.cache.redis_store import RedisStore, connect_redis
from repository_tier.database import Database
from repository_tier.embedded_file import own
from repository_tier.engine import PoolSettings, make_engines, sqlite_file
from repository_tier.product_rows import find_products
from repository_tier.revisions import require_revision
from repository_tier.settings import RepositorySettings
from repository_tier.tables import (
    order_items,
    orders,
    product_search,
    products,
    stock_movements,
    user_roles,
    users,
)
from repository_tier.text_keys import email_key
from tier_runtime.breaker import Breaker
from tier_runtime.clock import SystemClock
from tier_runtime.deadline import Deadline
from tier_runtime.settings import load
from tier_runtime.startup import StartupError

T = TypeVar("T")
ProductCache = MessageCache[product_pb2.Product]
StockedProduct = tuple[product_pb2.Product, Sequence[product_pb2.StockMovement]]
PlacedOrder = tuple[order_pb2.Order, OrderMovements]

# A transaction of so many things takes some tenths of a second at most.
BATCH = 500
TRANSACTION_SECONDS = 60.0
# Longer than SQLite's longest pause between two looks at the lock of a file.
PAUSE_SECONDS = 0.12


class BulkLoad:
    """Writes batches, each in one transaction, and tells what it left alone.

    Args:
        beside_a_tier: True when a running tier owns the file that the database is in. It gets its
            turn between two batches.
        cache: that of the tiers on this database, None when it is out of reach.
    """

    def __init__(
        self, database: Database, cache: ProductCache | None, *, beside_a_tier: bool
    ) -> None:
        self._database = database
        self._cache = cache
        self._beside_a_tier = beside_a_tier
        # Nobody sets it: waiting on it is a pause.
        self._never = Event()

    @property
    def batch(self) -> int:
        """How many things to give at a time."""
        return BATCH

    @property
    def leaves_cache_behind(self) -> bool:
        """True when a running tier remembers products in a place that cannot be reached."""
        return self._beside_a_tier

    def users(self, batch: Sequence[user_pb2.User], password_hash: str) -> int:
        """Load users who share a password; return how many were new.

        Somebody else who has the address of one of them keeps it.

        Raises:
            AppError: INVALID/VALIDATION_FAILED; what `Database.write` raises.
        """

        def work(connection: Connection) -> int:
            there = _there(connection, users, [user.id for user in batch])
            keys = {user.id: email_key(user.email) for user in batch}
            taken = set(
                connection.scalars(
                    select(users.c.email_key).where(users.c.email_key.in_(keys.values()))
                )
            )
            new = [user for user in batch if user.id not in there and keys[user.id] not in taken]
            _insert(connection, users, [user_row(user, password_hash) for user in new])
            _insert(
                connection,
                user_roles,
                [{"user_id": user.id, "role": role} for user in new for role in user.roles],
            )
            return len(new)

        return self._write(work)

    def products(self, batch: Sequence[StockedProduct]) -> int:
        """Load products, each with its ledger; return how many were new.

        Raises:
            AppError: INVALID/VALIDATION_FAILED; what `Database.write` raises.
        """

        def work(connection: Connection) -> int:
            there = _there(connection, products, [product.id for product, _ in batch])
            new = [each for each in batch if each[0].id not in there]
            _insert(connection, products, [product_row(*each) for each in new])
            _insert(connection, product_search, [words_row(product) for product, _ in new])
            _insert(
                connection,
                stock_movements,
                [movement_row(product.id, each) for product, moved in new for each in moved],
            )
            return len(new)

        return self._write(work)

    def orders(self, batch: Sequence[PlacedOrder]) -> tuple[int, int]:
        """Load orders with the movements of stock that they made.

        An order whose products are not there, or too few of them, is left out.

        Returns:
            how many were new, and how many were left out.

        Raises:
            AppError: INVALID/VALIDATION_FAILED; what `Database.write` raises.
        """

        def work(connection: Connection) -> tuple[int, int, list[product_pb2.Product]]:
            there = _there(connection, orders, [order.id for order, _ in batch])
            missing = [each for each in batch if each[0].id not in there]
            sold = list(_that_stock_allows(connection, missing))
            _insert(connection, orders, [order_row(*each) for each in sold])
            _insert(connection, order_items, [row for order, _ in sold for row in item_rows(order)])
            moved = [each for _, movements in sold for each in movements]
            _insert(connection, stock_movements, [movement_row(*each) for each in moved])
            touched = {product_id for product_id, _ in moved}
            if touched:
                connection.execute(_restated(touched, sold))
            changed = [] if self._cache is None else find_products(connection, list(touched))
            return len(sold), len(missing) - len(sold), changed

        made, left_out, changed = self._write(work)
        if self._cache is not None:
            self._cache.put_many(changed)
        return made, left_out

    def _write(self, work: Callable[[Connection], T]) -> T:
        began = time.monotonic()
        written = self._database.write(Deadline.after(TRANSACTION_SECONDS), work)
        if self._beside_a_tier:
            # SQLite keeps no queue: who comes back at once finds the lock free every time, and
            # those who wait for it never do.
            self._never.wait(max(time.monotonic() - began, PAUSE_SECONDS))
        return written


@contextmanager
def open_bulk_load() -> Iterator[BulkLoad]:
    """Give what loads into the stores that the settings name.

    Raises:
        StartupError: the database does not answer, or is not at the revision needed.
    """
    settings = load(RepositorySettings)
    clock, random = SystemClock(), SystemRandom()
    # One transaction at a time, which may take longer than a request would wait for.
    pool = PoolSettings(1, 1.0, settings.database_connect_timeout_seconds, TRANSACTION_SECONDS)
    with ExitStack() as ending:
        engines = make_engines(settings.database(), pool)
        ending.callback(engines.close)
        require_revision(engines.readers, settings.database())
        beside_a_tier = False
        file = sqlite_file(settings.database())
        if file is not None:
            try:
                # While it is ours no tier starts, and so none has a cache.
                ending.callback(own(file))
            except StartupError:
                beside_a_tier = True
        cache = None
        if settings.redis():
            store = RedisStore(connect_redis(settings.redis(), settings.cache_timeout_seconds, 1))
            ending.callback(store.close)
            cache = ProductCache(
                "product",
                store,
                Breaker(clock, settings.cache_breaker_failures, settings.cache_breaker_seconds),
                CacheTimes(settings.cache_ttl_seconds, settings.cache_missing_ttl_seconds),
                random,
            )
        database = Database(engines, clock, random)
        yield BulkLoad(database, cache, beside_a_tier=beside_a_tier)


def _there(connection: Connection, table: Table, ids: Collection[str]) -> set[str]:
    return set(connection.scalars(select(table.c.id).where(table.c.id.in_(ids))))


def _insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    if rows:
        connection.execute(insert(table), [dict(row) for row in rows])


def _that_stock_allows(
    connection: Connection, missing: Sequence[PlacedOrder]
) -> Iterator[PlacedOrder]:
    """Lock the products of these orders, and give those that can be sold one after the other."""
    ids = sorted({item.product_id for order, _ in missing for item in order.items})
    # In the order of ids, as every transaction that changes stock does it.
    wanted = select(products.c.id, products.c.stock).where(products.c.id.in_(ids))
    locked = connection.execute(wanted.order_by(products.c.id).with_for_update())
    stock = {row.id: row.stock for row in locked}
    for order, movements in missing:
        changes: Counter[str] = Counter()
        for product_id, movement in movements:
            changes[product_id] += movement.quantity_change
        if all(stock.get(each, -1) + change >= 0 for each, change in changes.items()):
            for product_id, change in changes.items():
                stock[product_id] += change
            yield order, movements


def _restated(product_ids: Collection[str], sold: Sequence[PlacedOrder]) -> Any:
    """Return the statement that makes the stock of locked products what their ledger says."""
    ledger = (
        select(func.sum(stock_movements.c.quantity_change))
        .where(stock_movements.c.product_id == products.c.id)
        .scalar_subquery()
    )
    newest = max(order_row(*each)["updated_time"] for each in sold)
    is_older = products.c.updated_time < newest
    return (
        update(products)
        .where(products.c.id.in_(product_ids))
        .values(
            stock=ledger,
            version=products.c.version + 1,
            updated_time=case((is_older, newest), else_=products.c.updated_time),
        )
    )
