"""Products as they are made and changed; their stock is the business of `stock`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, update
from sqlalchemy.exc import IntegrityError

from arcana.repository.v1 import product_pb2
from arcana.repository.v1.product_repository_pb2 import CreateProductResponse
from repository_tier.cache.message_cache import MessageCache
from repository_tier.column_types import MAX_PRODUCT_NAME_KEY_CHARACTERS
from repository_tier.database import Database
from repository_tier.idempotency import OnceKey, once
from repository_tier.outbox import OutboxEvent, append_events
from repository_tier.product_rows import product_not_found, read_product
from repository_tier.product_search import insert_words, replace_words
from repository_tier.search_words import indexed_words
from repository_tier.stock_changes import Movement, append_movements, lock_products
from repository_tier.stock_events import Cause, Crossing, crossing_events
from repository_tier.store_errors import duplicates
from repository_tier.tables import products
from repository_tier.text_keys import name_key
from repository_tier.versions import stale
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import IdSource

# The reason of the movement that a product begins with.
INITIAL = "initial"


@dataclass(frozen=True, slots=True)
class NewProduct:
    """A product about to be made. The price is in hundredths."""

    id: str
    name: str
    description: str
    price_minor: int
    currency_code: str
    stock: int
    low_stock_threshold: int
    category: str
    status: str


@dataclass(frozen=True, slots=True)
class ProductChange:
    """New values for a product, by the names of its columns, and from which version; 0 is any."""

    product_id: str
    expected_version: int
    values: Mapping[str, str | int]


class ProductCatalogue:
    """Writes products. Each method is one transaction, with its events in it."""

    def __init__(
        self,
        database: Database,
        cache: MessageCache[product_pb2.Product],
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._database = database
        self._cache = cache
        self._clock = clock
        self._ids = ids

    def create(
        self,
        product: NewProduct,
        key: OnceKey | None,
        events: Sequence[OutboxEvent],
        deadline: Deadline,
    ) -> CreateProductResponse:
        """Make a product with its first movement of stock, once for each key.

        Raises:
            AppError: EXISTS/ALREADY_EXISTS, when the id is taken; and what `once` raises.
        """
        now = self._clock.now()

        def work(connection: Connection) -> CreateProductResponse:
            def make() -> CreateProductResponse:
                _insert_product(connection, product, now)
                if product.stock:
                    first = Movement(product.id, product.stock, INITIAL)
                    append_movements(connection, [first], now, self._ids)
                append_events(connection, events, now)
                return CreateProductResponse(product=read_product(connection, product.id))

            return once(connection, key, now, make, CreateProductResponse)

        response = self._database.write(deadline, work)
        if not response.replayed:
            self._cache.put(response.product)
        return response

    def update(
        self,
        change: ProductChange,
        cause: Cause,
        events: Sequence[OutboxEvent],
        deadline: Deadline,
    ) -> product_pb2.Product:
        """Change all that is given. A threshold raised above the stock makes the stock low.

        Raises:
            AppError: MISSING/PRODUCT_NOT_FOUND; STALE/PRECONDITION_FAILED.
        """
        now = self._clock.now()

        def work(connection: Connection) -> product_pb2.Product:
            old = _lock_product(connection, change.product_id, change.expected_version)
            _change_product(connection, change, now)
            product = read_product(connection, change.product_id)
            replace_words(connection, product)
            append_events(connection, events, now)
            crossing = Crossing(product, old.stock, old.low_stock_threshold)
            append_events(connection, crossing_events([crossing], cause, now, self._ids), now)
            return product

        product = self._database.write(deadline, work)
        self._cache.put(product)
        return product


def _insert_product(connection: Connection, product: NewProduct, now: datetime) -> None:
    row = insert(products).values(
        id=product.id,
        name=product.name,
        name_key=_name_key(product.name),
        description=product.description,
        price_minor=product.price_minor,
        currency_code=product.currency_code,
        stock=product.stock,
        low_stock_threshold=product.low_stock_threshold,
        category=product.category,
        status=product.status,
        version=1,
        created_time=now,
        updated_time=now,
    )
    try:
        connection.execute(row)
    except IntegrityError as error:
        if duplicates(error, products, "id"):
            raise AppError(
                Kind.EXISTS, "ALREADY_EXISTS", "There is a product with this id already."
            ) from error
        raise
    words = indexed_words(product.name, product.category, product.description)
    insert_words(connection, product.id, words)


def _lock_product(
    connection: Connection, product_id: str, expected_version: int
) -> product_pb2.Product:
    product = lock_products(connection, [product_id]).get(product_id)
    if product is None:
        raise product_not_found(product_id)
    if expected_version not in (0, product.version):
        raise stale()
    return product


def _change_product(connection: Connection, change: ProductChange, now: datetime) -> None:
    values: dict[str, Any] = dict(change.values)
    if "name" in values:
        values["name_key"] = _name_key(values["name"])
    connection.execute(
        update(products)
        .where(products.c.id == change.product_id)
        .values(version=products.c.version + 1, updated_time=now, **values)
    )


def _name_key(name: str) -> str:
    return name_key(name, MAX_PRODUCT_NAME_KEY_CHARACTERS)
