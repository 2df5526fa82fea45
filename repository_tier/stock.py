"""Stock as it is changed by hand, and its ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, select

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import product_pb2
from arcana.repository.v1.product_repository_pb2 import (
    BatchUpdateStockResponse,
    StockChangeResult,
    UpdateStockResponse,
)
from repository_tier.cache.message_cache import MessageCache
from repository_tier.database import Database
from repository_tier.idempotency import OnceKey, once
from repository_tier.outbox import OutboxEvent, append_events
from repository_tier.paging import Order, Page, list_page
from repository_tier.product_rows import find_products, product_not_found, read_product
from repository_tier.stock_changes import (
    MAX_STOCK,
    Movement,
    lock_products,
    move_units,
    shortage,
    write_ledger,
)
from repository_tier.stock_events import Cause
from repository_tier.tables import products, stock_movements
from repository_tier.totals import Totals
from repository_tier.versions import stale
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import IdSource
from tier_runtime.status import to_status
from tier_runtime.timestamps import timestamp_from
from tier_runtime.validation import invalid


@dataclass(frozen=True, slots=True)
class StockChange:
    """Units that are to come (above 0) or go (below 0), and from which version; 0 is any."""

    product_id: str
    expected_version: int
    quantity_change: int
    reason: str


class Stock:
    """Changes stock outside of orders, and reads the ledger. Each change is one transaction."""

    def __init__(
        self,
        database: Database,
        cache: MessageCache[product_pb2.Product],
        totals: Totals,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._database = database
        self._cache = cache
        self._totals = totals
        self._clock = clock
        self._ids = ids

    def update(
        self,
        change: StockChange,
        key: OnceKey | None,
        cause: Cause,
        events: Sequence[OutboxEvent],
        deadline: Deadline,
    ) -> UpdateStockResponse:
        """Change the stock of one product, once for each key.

        Raises:
            AppError: MISSING/PRODUCT_NOT_FOUND; STALE/PRECONDITION_FAILED;
                CONFLICT/INSUFFICIENT_STOCK; INVALID/VALIDATION_FAILED, when there would be too
                much of it; and what `once` raises.
        """
        now = self._clock.now()

        def work(connection: Connection) -> tuple[UpdateStockResponse, product_pb2.Product]:
            def make() -> UpdateStockResponse:
                refusal = _made_or_refused(connection, change, now)
                if refusal is not None:
                    raise refusal
                append_events(connection, events, now)
                moved = [_movement_of(change)]
                changed = write_ledger(connection, moved, cause, now, self._ids)
                return UpdateStockResponse(product=changed[change.product_id])

            response = once(connection, key, now, make, UpdateStockResponse)
            if response.replayed:
                # Who made the change may have died before the cache was told.
                return response, read_product(connection, change.product_id)
            return response, response.product

        response, product = self._database.write(deadline, work)
        self._cache.put(product)
        return response

    def update_many(
        self,
        changes: Sequence[StockChange | AppError],
        key: OnceKey | None,
        cause: Cause,
        deadline: Deadline,
    ) -> BatchUpdateStockResponse:
        """Do for each change what `update` does, once for each key; an error stays what it is.

        Raises:
            AppError: what `once` raises. What stands against one change is its result.
        """
        now = self._clock.now()

        def work(
            connection: Connection,
        ) -> tuple[BatchUpdateStockResponse, list[product_pb2.Product]]:
            changed: list[product_pb2.Product] = []

            def make() -> BatchUpdateStockResponse:
                refusals, moved = _make_each(connection, changes, now)
                changed.extend(write_ledger(connection, moved, cause, now, self._ids).values())
                return BatchUpdateStockResponse(results=[_result(one) for one in refusals])

            response = once(connection, key, now, make, BatchUpdateStockResponse)
            if response.replayed:
                # Who made the changes may have died before the cache was told.
                asked = {one.product_id for one in changes if isinstance(one, StockChange)}
                changed.extend(find_products(connection, sorted(asked)))
            return response, changed

        response, changed = self._database.write(deadline, work)
        self._cache.put_many(changed)
        return response

    def movements(
        self, product_id: str, page: Page, *, descending: bool, deadline: Deadline
    ) -> tuple[Sequence[product_pb2.StockMovement], paging_pb2.PageResult]:
        """Return one page of a product's ledger, by id.

        Raises:
            AppError: MISSING/PRODUCT_NOT_FOUND; INVALID/VALIDATION_FAILED, for a cursor of
                another list.
        """
        rows = select(stock_movements).where(stock_movements.c.product_id == product_id)
        by_id = stock_movements.c.id
        order = Order(by_id, by_id, UUID, descending, unique=True)

        def work(
            connection: Connection,
        ) -> tuple[Sequence[product_pb2.StockMovement], paging_pb2.PageResult]:
            known = select(products.c.id).where(products.c.id == product_id)
            if connection.scalar(known) is None:
                raise product_not_found(product_id)
            digest = product_id.encode()
            found = list_page(connection, rows, order, page, digest, totals=self._totals)
            return [_movement_from_row(row) for row in found.rows], found.place

        return self._database.read(deadline, work)


def _make_each(
    connection: Connection, changes: Sequence[StockChange | AppError], now: datetime
) -> tuple[list[AppError | None], list[Movement]]:
    """Make the changes that can be made; return what stands against each, and what was moved."""
    refusals = [one if isinstance(one, AppError) else None for one in changes]
    numbered = [
        (number, change) for number, change in enumerate(changes) if isinstance(change, StockChange)
    ]
    # Sorting leaves the changes of one product in the order given.
    numbered.sort(key=lambda pair: pair[1].product_id)
    moved = []
    for number, change in numbered:
        refusals[number] = _made_or_refused(connection, change, now)
        if refusals[number] is None:
            moved.append(_movement_of(change))
    return refusals, moved


def _made_or_refused(connection: Connection, change: StockChange, now: datetime) -> AppError | None:
    """Move the units and return None, or return what stands against it."""
    conditions = []
    if change.expected_version:
        conditions.append(products.c.version == change.expected_version)
    product_id, quantity_change = change.product_id, change.quantity_change
    while not move_units(connection, product_id, quantity_change, now, *conditions):
        # What stood against it may be gone by now, but not change again after that.
        product = lock_products(connection, [product_id]).get(product_id)
        if product is None:
            return product_not_found(product_id)
        if change.expected_version not in (0, product.version):
            return stale()
        if product.stock + quantity_change < 0:
            return _too_few(product, -quantity_change)
        if product.stock + quantity_change > MAX_STOCK:
            return invalid({"quantity_change": [f"There would be more than {MAX_STOCK} units."]})
    return None


def _too_few(product: product_pb2.Product, asked: int) -> AppError:
    return AppError(
        Kind.CONFLICT,
        "INSUFFICIENT_STOCK",
        "There are not enough units in stock.",
        field_errors={"quantity_change": [shortage(product.id, product.stock, asked)]},
        product_id=product.id,
        available=product.stock,
    )


def _movement_of(change: StockChange) -> Movement:
    return Movement(change.product_id, change.quantity_change, change.reason)


def _movement_from_row(row: RowMapping) -> product_pb2.StockMovement:
    return product_pb2.StockMovement(
        id=row["id"],
        quantity_change=row["quantity_change"],
        reason=row["reason"],
        order_id=row["order_id"],
        created_time=timestamp_from(row["created_time"]),
    )


def _result(refusal: AppError | None) -> StockChangeResult:
    return StockChangeResult(error=None if refusal is None else to_status(refusal))
