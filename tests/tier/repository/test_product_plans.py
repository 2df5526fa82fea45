"""How the databases go about reading products, when there are more than a few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, insert, text, update

from arcana.common.v1.paging_pb2 import PageRequest
from arcana.repository.v1 import product_pb2
from arcana.repository.v1 import product_repository_pb2 as messages
from arcana.repository.v1.product_pb2 import Product
from repository_tier.cache.memory_store import MemoryStore
from repository_tier.cache.message_cache import CacheTimes, MessageCache
from repository_tier.cached_reads import CachedReads
from repository_tier.column_types import MYSQL_DIALECTS
from repository_tier.database import Database
from repository_tier.engine import PoolSettings, make_engines
from repository_tier.paging import Order, page_from_proto
from repository_tier.product_directory import PRODUCTS, ProductDirectory, product_order_from_proto
from repository_tier.product_filters import ProductFilter, product_filter_from_proto
from repository_tier.product_search import ProductSearch
from repository_tier.search_words import indexed_words, search_words
from repository_tier.tables import product_search, products
from repository_tier.totals import Totals
from tests.fakes.clock import FakeClock
from tests.stores import Store
from tests.tier.repository.requests import Requests
from tier_runtime.breaker import Breaker
from tier_runtime.deadline import Deadline

COUNT = 3000
SORTS = [sort for sort in messages.ProductSortField.values() if sort]
ANY, DRAFT = product_pb2.PRODUCT_STATUS_UNSPECIFIED, product_pb2.PRODUCT_STATUS_DRAFT
ACTIVE = product_pb2.PRODUCT_STATUS_ACTIVE
# One word of it begins as the one asked for: of several, InnoDB counts the one it came by last.
BEST, RARE = "Lamp, a lamp by a lamp", "Rare"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Plans:
    """What is read, and the plans of the statements that read it."""

    def __init__(self, engine: Engine, directory: ProductDirectory, search: ProductSearch) -> None:
        self._engine = engine
        self._directory = directory
        self._search = search
        self._asked: list[tuple[str, Any]] = []
        event.listen(engine, "before_cursor_execute", self._note)

    def of_list(self, wanted: ProductFilter, order: Order, cursor: str = "") -> tuple[str, str]:
        """Return the cursor to the next page, and the plans."""
        page = page_from_proto(PageRequest(page_size=20, cursor=cursor))
        _, place = self._directory.list(wanted, order, page, Deadline.after(60))
        return place.next_cursor, self._plans()

    def rows_read(self, wanted: ProductFilter, order: Order, cursor: str) -> tuple[str, int]:
        """Return the cursor to the next page, and how many rows MySQL reads for this one."""
        page = page_from_proto(PageRequest(page_size=100, cursor=cursor))
        _, place = self._directory.list(wanted, order, page, Deadline.after(60))
        asked, self._asked = self._asked, []
        with self._engine.connect() as connection:
            connection.exec_driver_sql("FLUSH STATUS")
            for statement, parameters in asked:
                connection.exec_driver_sql(statement, parameters).all()
            counts = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'").all()
        self._asked.clear()
        return place.next_cursor, sum(int(count) for _, count in counts)

    def of_batch(self, ids: Sequence[str]) -> str:
        self._directory.get_many(ids, Deadline.after(60), fresh=True)
        return self._plans()

    def of_search(self, query: str, among: ProductFilter, limit: int) -> tuple[list[Product], str]:
        """Return what was found, and the plans."""
        found = self._search.find(search_words(query), among, limit, Deadline.after(60))
        return [Product.FromString(body) for body in found], self._plans()

    def _note(self, _connection: Connection, _cursor: Any, *asked: Any) -> None:
        self._asked.append((asked[0], asked[1]))

    def _plans(self) -> str:
        asked, self._asked = self._asked, []
        with self._engine.connect() as connection:
            plans = [
                plan
                for statement, parameters in asked
                for plan in _explained(connection, statement, parameters)
            ]
        self._asked.clear()
        return "\n".join(plans)


def among(**fields: Any) -> ProductFilter:
    return product_filter_from_proto(messages.ProductFilter(**fields))


def _explained(connection: Connection, statement: str, parameters: Any) -> list[str]:
    if connection.dialect.name not in MYSQL_DIALECTS:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).mappings()
        return [row["detail"] for row in rows]
    explain = "EXPLAIN FORMAT=TRADITIONAL"
    # On MariaDB the time that a statement may take stands before it.
    *_, plain = statement.rpartition(" FOR SELECT ")
    plain = statement if plain == statement else f"SELECT {plain}"
    rows = connection.exec_driver_sql(f"{explain} {plain}", parameters).mappings()
    return [
        f"{row['type']} {row['table']} {row['key']} length {row['key_len']} {row['Extra']}"
        # What a subquery has found is not a table that is read.
        for row in rows
        if not (row["table"] or "").startswith("<")
    ]


@pytest.fixture
def plans(empty_store: Store, store_engine: Engine, make: Requests) -> Iterator[Plans]:
    """Give plans over products that differ in all that they can be sorted by."""
    _fill(store_engine, make)
    clock, random = FakeClock(), Random(7)
    engines = make_engines(empty_store.database_url, PoolSettings(4, 1.0, 5, 30.0))
    database = Database(engines, clock, random)
    store = MemoryStore(clock, max_entries=10)
    breaker = Breaker(clock, 3, 1.0, lambda _is_open: None)
    cache: MessageCache[Product] = MessageCache(
        "product", store, breaker, CacheTimes(300.0, 5.0), random
    )
    reads = CachedReads(PRODUCTS, database, cache, Totals(clock))
    yield Plans(engines.readers, ProductDirectory(reads), ProductSearch(database, reads))
    database.close()


def _fill(engine: Engine, make: Requests) -> None:
    rows, words = [], []
    for number in range(COUNT):
        shuffled = number * 1009 % COUNT
        # A word that is in all of them would tell none of them apart.
        name = f"Chair {shuffled}" if number % 2 else f"Lamp {shuffled}"
        if number == COUNT // 2:
            name = BEST
        row = {
            "id": make.new_id(),
            "name": name,
            "name_key": name.casefold(),
            "description": "For the living room.",
            "price_minor": shuffled,
            "currency_code": "USD",
            "stock": 1,
            "low_stock_threshold": 0,
            "category": RARE if number == 2 else "",
            "status": "draft" if number % 10 == 0 else "active",
            "version": 1,
            "created_time": BEGAN + timedelta(seconds=number),
            "updated_time": BEGAN + timedelta(seconds=shuffled),
        }
        rows.append(row)
        words.append({"product_id": row["id"], "words": indexed_words(name, "", "")})
    with engine.begin() as connection:
        connection.execute(insert(products), rows)
        connection.execute(insert(product_search), words)
        if engine.dialect.name in MYSQL_DIALECTS:
            # What it would find out by itself a few seconds later.
            connection.execute(text("ANALYZE TABLE products, product_search"))


def test_each_order_walks_its_index_and_no_page_reads_the_pages_before_it(plans: Plans) -> None:
    for status in (ANY, ACTIVE):
        wanted = among(status=status)
        for sort in SORTS:
            for descending in (False, True):
                order = product_order_from_proto(sort, descending=descending)
                name = "_".join(["status"] * bool(status) + [order.column.name, "id"])
                cursor, first = plans.of_list(wanted, order)
                _, second = plans.of_list(wanted, order, cursor)
                for found in (first, second):
                    assert f"ix_products_{name}" in found
                    assert not _reads_too_much(found), found
                assert _is_entered_at(second, order.column.name), second


@pytest.mark.parametrize("descending", [False, True])
def test_a_page_costs_the_same_however_many_share_its_key(
    plans: Plans, store_engine: Engine, descending: bool
) -> None:
    with store_engine.begin() as connection:
        connection.execute(update(products).values(price_minor=999))
    order = product_order_from_proto(messages.PRODUCT_SORT_FIELD_PRICE, descending=descending)
    cursor, found = "", ""
    for _ in range(20):
        cursor, found = plans.of_list(among(status=ACTIVE), order, cursor)
    assert _is_entered_at(found, "price_minor"), found
    if store_engine.dialect.name in MYSQL_DIALECTS:
        reads = []
        for _ in range(15):
            cursor, read = plans.rows_read(among(status=ACTIVE), order, cursor)
            reads.append(read)
        assert max(reads) < 2 * 101, reads


def _reads_too_much(plan: str) -> bool:
    """True when a whole table is read or sorted."""
    return any(
        line.startswith("ALL ")
        or "filesort" in line
        or "TEMP B-TREE" in line
        # SQLite reads all of a table, but for counting it by an index.
        or (line.startswith("SCAN products") and "INDEX" not in line)
        for line in plan.splitlines()
    )


def _is_entered_at(plan: str, column: str) -> bool:
    """True when a page by cursor begins where the page before it ended."""
    place = f"({column},id)"
    return plan.startswith("range ") or f"{place}>(?,?)" in plan or f"{place}<(?,?)" in plan


def test_products_are_found_by_their_ids_alone(plans: Plans, make: Requests) -> None:
    found = plans.of_batch([make.new_id() for _ in range(20)])
    assert not _reads_too_much(found)
    assert "PRIMARY" in found or "(id=?)" in found


def test_a_search_is_by_the_full_text_index(plans: Plans) -> None:
    _, found = plans.of_search("lamp", among(), 20)
    assert "fulltext product_search" in found or "VIRTUAL TABLE INDEX" in found
    assert not any(line.startswith("ALL ") for line in found.splitlines())


def test_the_best_of_very_many_matches_come_first(plans: Plans) -> None:
    (best, *others), _ = plans.of_search("lamp", among(), 20)
    assert best.name == BEST
    assert len(others) == 19
    assert plans.of_search("lamp", among(), 1)[0] == [best]


def test_a_filter_that_leaves_few_of_very_many_matches_leaves_all_of_them(plans: Plans) -> None:
    (found,), _ = plans.of_search("lamp", among(category=RARE), 20)
    assert found.category == RARE
    # A fifth of what matches, and so of what is looked at first.
    drafts, _ = plans.of_search("lamp", among(status=DRAFT), 100)
    assert len(drafts) == 100
    assert {product.status for product in drafts} == {DRAFT}
