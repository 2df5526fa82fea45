"""What a shop is asked for, the statements that this takes, and how a database goes about them.

The statements are those that a running tier sends: it is asked by its contract, and overheard.
`docs/queries.py` writes them down for a large shop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Engine, event

from arcana.common.v1.paging_pb2 import PageRequest
from arcana.repository.v1 import (
    order_pb2,
    order_repository_pb2,
    product_pb2,
    product_repository_pb2,
)
from launcher.demo.goods import make_product
from launcher.demo.people import make_user
from launcher.demo.sales import order_id
from repository_tier.tables import metadata
from tests.tier.repository.running_tier import RunningTier
from tier_runtime.ids import Uuid7Source

_HAS_PLAN = ("SELECT", "UPDATE", "DELETE")
# By which the tier sees that the database is there.
_PROBE = "SELECT 1"
# What is read from end to end with no index to stop or to sort by. What another step of the plan
# has gathered is read whole too, but is no table.
_SQLITE_FULL_SCAN = re.compile(
    rf"SCAN ({'|'.join(metadata.tables)})(?!.*( USING | VIRTUAL TABLE ))"
)

# Everybody sees the active products only; the service tier puts that into the filter.
_EVERYBODY = product_repository_pb2.ProductFilter(status=product_pb2.PRODUCT_STATUS_ACTIVE)
_SORTS = product_repository_pb2.ProductSortField
Ask = Callable[[RunningTier], object]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with its parameters, as it went to the driver."""

    text: str
    parameters: Any


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a plan: a table, and how its rows are found."""

    text: str
    is_full_scan: bool


@contextmanager
def overheard() -> Iterator[list[Statement]]:
    """Give the statements that are sent within the block, each once, but for plain inserts."""
    heard: dict[str, Statement] = {}

    # For all engines: those of the tier are its own. What bounds a SELECT in time is added later.
    def hear(
        _connection: Connection,
        _cursor: Any,
        statement: str,
        parameters: Any,
        _context: Any,
        _executemany: bool,
    ) -> None:
        if statement.startswith(_HAS_PLAN) and statement != _PROBE:
            heard.setdefault(statement, Statement(statement, parameters))

    found: list[Statement] = []
    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
        found += heard.values()


def shown(statement: Statement) -> str:
    """Return a statement on one line, without long lists of columns."""
    one_line = re.sub(r"\s+", " ", statement.text).strip()
    # As SQLite has it already.
    one_line = re.sub(r"%\(\w+\)s", "?", one_line)
    one_line = re.sub(r"SELECT (?:(?!SELECT)[^()]){60,}? FROM", "SELECT ... FROM", one_line)
    # However many are asked for.
    return re.sub(r"IN \([^()]*\)", "IN (...)", one_line)


def explained(engine: Engine, statement: Statement) -> list[Step]:
    """Return the plan of a statement."""
    on_sqlite = engine.dialect.name == "sqlite"
    words = "EXPLAIN QUERY PLAN" if on_sqlite else "EXPLAIN FORMAT=TRADITIONAL"
    parameters = statement.parameters
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            f"{words} {statement.text}", parameters[0] if _is_batch(parameters) else parameters
        ).mappings()
        return [_sqlite_step(row) if on_sqlite else _mysql_step(row) for row in rows]


def _is_batch(parameters: Any) -> bool:
    return isinstance(parameters, list)


def _sqlite_step(row: Mapping[Any, Any]) -> Step:
    return Step(row["detail"], _SQLITE_FULL_SCAN.match(row["detail"]) is not None)


def _mysql_step(row: Mapping[Any, Any]) -> Step:
    table, kind = row["table"], row["type"]
    told = [f"{table or '-'}: {kind or '-'}"]
    if row["key"]:
        told.append(f"key {row['key']}")
    if row["rows"]:
        told.append(f"about {row['rows']} rows")
    if row["Extra"]:
        told.append(row["Extra"])
    return Step(", ".join(told), kind == "ALL" and table in metadata.tables)


def _products(
    filter_: product_repository_pb2.ProductFilter | None = None,
    sort: _SORTS.ValueType = product_repository_pb2.PRODUCT_SORT_FIELD_CREATED_TIME,
    *,
    descending: bool = False,
) -> Ask:
    def ask(tier: RunningTier) -> object:
        request = product_repository_pb2.ListProductsRequest(filter=filter_, sort=sort)
        request.page.descending = descending
        first = tier.products.ListProducts(request)
        # The second page, by the cursor of the first one.
        request.page.cursor = first.page.next_cursor
        return tier.products.ListProducts(request) if request.page.cursor else first

    return ask


def _orders(filter_: order_repository_pb2.OrderFilter | None = None) -> Ask:
    def ask(tier: RunningTier) -> object:
        request = order_repository_pb2.ListOrdersRequest(
            filter=filter_, page=PageRequest(descending=True)
        )
        first = tier.orders.ListOrders(request)
        request.page.cursor = first.page.next_cursor
        return tier.orders.ListOrders(request) if request.page.cursor else first

    return ask


def _filter(**fields: Any) -> product_repository_pb2.ProductFilter:
    return product_repository_pb2.ProductFilter(status=product_pb2.PRODUCT_STATUS_ACTIVE, **fields)


def _search(
    query: str, filter_: product_repository_pb2.ProductFilter = _EVERYBODY, limit: int = 20
) -> Ask:
    request = product_repository_pb2.SearchProductsRequest(query=query, filter=filter_, limit=limit)
    return lambda tier: tier.products.SearchProducts(request)


def _movements(tier: RunningTier) -> object:
    request = product_repository_pb2.ListStockMovementsRequest(
        product_id=make_product(0).product.id, page=PageRequest(page_size=1)
    )
    first = tier.products.ListStockMovements(request)
    request.page.cursor = first.page.next_cursor
    return tier.products.ListStockMovements(request)


def _stocked_product() -> product_pb2.Product:
    """Return a product that is for sale, and of which there is enough."""
    return next(
        product
        for product in (make_product(number).product for number in range(100))
        if product.status == product_pb2.PRODUCT_STATUS_ACTIVE and product.stock > 100
    )


def _place_and_cancel(tier: RunningTier) -> object:
    product = _stocked_product()
    placed = tier.orders.PlaceOrder(
        order_repository_pb2.PlaceOrderRequest(
            order_id=Uuid7Source().new_id(),
            user_id=make_user(0).id,
            items=[
                order_repository_pb2.PricedLine(
                    product_id=product.id, quantity=1, unit_price_minor=product.price_minor
                )
            ],
            currency_code=product.currency_code,
            pricing=order_pb2.PRICING_REGULAR,
            total_minor=product.price_minor,
        )
    )
    return tier.orders.CancelOrder(
        order_repository_pb2.CancelOrderRequest(
            order_id=placed.order.id, allowed_statuses=[order_pb2.ORDER_STATUS_PENDING]
        )
    )


def _change_product(tier: RunningTier) -> object:
    id_ = _stocked_product().id
    tier.products.UpdateStock(
        product_repository_pb2.UpdateStockRequest(product_id=id_, quantity_change=1)
    )
    return tier.products.UpdateProduct(
        product_repository_pb2.UpdateProductRequest(product_id=id_, description="Another one.")
    )


_A_PRODUCT = make_product(0).product
QUESTIONS: Mapping[str, Ask] = MappingProxyType(
    {
        "A product by its id": lambda tier: tier.products.BatchGetProducts(
            product_repository_pb2.BatchGetProductsRequest(product_ids=[_A_PRODUCT.id], fresh=True)
        ),
        "The products that everybody sees, oldest first": _products(_EVERYBODY),
        "The same, newest first": _products(_EVERYBODY, descending=True),
        "The same by name": _products(_EVERYBODY, product_repository_pb2.PRODUCT_SORT_FIELD_NAME),
        "The same by price": _products(_EVERYBODY, product_repository_pb2.PRODUCT_SORT_FIELD_PRICE),
        "The same by their last change": _products(
            _EVERYBODY, product_repository_pb2.PRODUCT_SORT_FIELD_UPDATED_TIME
        ),
        "The same of a category": _products(_filter(category=_A_PRODUCT.category)),
        "The same within a range of prices": _products(
            _filter(min_price_minor=1_000, max_price_minor=9_000)
        ),
        "The same that are in stock": _products(_filter(in_stock=True)),
        "The same that are sold out": _products(_filter(in_stock=False)),
        "All products, as admins see them": _products(),
        "All products by name": _products(None, product_repository_pb2.PRODUCT_SORT_FIELD_NAME),
        "All products by price": _products(None, product_repository_pb2.PRODUCT_SORT_FIELD_PRICE),
        "All products of a category": _products(
            product_repository_pb2.ProductFilter(category=_A_PRODUCT.category)
        ),
        "Products found by two words": _search(
            " ".join((_A_PRODUCT.name.split()[0], _A_PRODUCT.name.split()[3][:4])),
            # So many are found among few products too.
            limit=1,
        ),
        "A search that finds fewer than it may: asked again for all that match": _search(
            "nobody sells that"
        ),
        "The same within a category and a range of prices": _search(
            _A_PRODUCT.name.split()[3],
            _filter(category=_A_PRODUCT.category, min_price_minor=1_000),
        ),
        "A product's ledger": _movements,
        "An order by its id": lambda tier: tier.orders.GetOrder(
            order_repository_pb2.GetOrderRequest(order_id=order_id(0))
        ),
        "All orders, newest first": _orders(),
        "The orders of a user": _orders(order_repository_pb2.OrderFilter(user_id=make_user(0).id)),
        "The orders of a status": _orders(
            order_repository_pb2.OrderFilter(status=order_pb2.ORDER_STATUS_PENDING)
        ),
        "An order placed and cancelled": _place_and_cancel,
        "Stock and words of a product changed": _change_product,
    }
)


def statements_of(tier: RunningTier, questions: Sequence[str]) -> dict[str, list[Statement]]:
    """Ask a tier, and return the statements that each question took."""
    found = {}
    for question in questions:
        with overheard() as statements:
            QUESTIONS[question](tier)
        found[question] = statements
    return found
