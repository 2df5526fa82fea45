"""Orders as they are placed, cancelled and carried on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from arcana.repository.v1 import order_pb2, product_pb2
from arcana.repository.v1.order_repository_pb2 import PlaceOrderResponse
from repository_tier.cache.message_cache import MessageCache
from repository_tier.database import Database
from repository_tier.idempotency import OnceKey, once
from repository_tier.order_rows import (
    CANCELLED,
    PENDING,
    order_from_rows,
    order_not_found,
    read_order,
)
from repository_tier.order_stock import NewOrder, return_units, take_units
from repository_tier.outbox import OutboxEvent, append_events
from repository_tier.product_rows import find_products
from repository_tier.stock_changes import write_ledger
from repository_tier.stock_events import Cause
from repository_tier.store_errors import duplicates
from repository_tier.tables import order_items, orders
from repository_tier.versions import stale
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import IdSource


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A new status, from which version, 0 being any, and from which statuses."""

    order_id: str
    expected_version: int
    allowed_statuses: frozenset[str]
    status: str


class Orders:
    """Writes orders. Each method is one transaction, with its events in it.

    Locks are taken in one order by all: the idempotency key, the order, products by their ids.
    """

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

    def place(
        self,
        order: NewOrder,
        key: OnceKey | None,
        cause: Cause,
        events: Sequence[OutboxEvent],
        deadline: Deadline,
    ) -> PlaceOrderResponse:
        """Take the units of all lines out of stock and keep the order, once for each key.

        Raises:
            AppError: what `take_units` raises; EXISTS/ALREADY_EXISTS, when the id is taken; and
                what `once` raises.
        """
        now = self._clock.now()

        def work(
            connection: Connection,
        ) -> tuple[PlaceOrderResponse, list[product_pb2.Product]]:
            sold: list[product_pb2.Product] = []

            def make() -> PlaceOrderResponse:
                # All that can be written before the first product is locked is: others wait for
                # a product that sells well.
                row = _insert_order(connection, order, now)
                append_events(connection, events, now)
                taken = take_units(connection, order, now)
                changed = write_ledger(connection, taken, cause, now, self._ids)
                sold.extend(changed.values())
                items = _insert_items(connection, order, changed)
                return PlaceOrderResponse(order=order_from_rows(row, items))

            response = once(connection, key, now, make, PlaceOrderResponse)
            if response.replayed:
                # Who placed it may have died before the cache was told.
                items = response.order.items
                sold.extend(find_products(connection, [item.product_id for item in items]))
            return response, sold

        response, sold = self._database.write(deadline, work)
        self._cache.put_many(sold)
        return response

    def cancel(
        self,
        order_id: str,
        allowed_statuses: frozenset[str],
        cause: Cause,
        events: Sequence[OutboxEvent],
        deadline: Deadline,
    ) -> order_pb2.Order:
        """Cancel an order that has one of these statuses, and give its units back.

        Raises:
            AppError: MISSING/ORDER_NOT_FOUND; CONFLICT/INVALID_STATE.
        """
        now = self._clock.now()
        change = StatusChange(order_id, 0, allowed_statuses, CANCELLED)

        def work(connection: Connection) -> tuple[order_pb2.Order, list[product_pb2.Product]]:
            # Of two that come at once the second one waits here, and then finds it cancelled.
            order = _change_status(connection, change, now)
            append_events(connection, events, now)
            returned = return_units(connection, order, now)
            changed = write_ledger(connection, returned, cause, now, self._ids)
            return order, list(changed.values())

        order, changed = self._database.write(deadline, work)
        self._cache.put_many(changed)
        return order

    def update_status(
        self, change: StatusChange, events: Sequence[OutboxEvent], deadline: Deadline
    ) -> order_pb2.Order:
        """Set the status of an order. Stock does not move.

        Raises:
            AppError: MISSING/ORDER_NOT_FOUND; STALE/PRECONDITION_FAILED; CONFLICT/INVALID_STATE.
        """
        now = self._clock.now()

        def work(connection: Connection) -> order_pb2.Order:
            order = _change_status(connection, change, now)
            append_events(connection, events, now)
            return order

        return self._database.write(deadline, work)


def _insert_order(connection: Connection, order: NewOrder, now: datetime) -> dict[str, Any]:
    row = {
        "id": order.id,
        "user_id": order.user_id,
        "status": PENDING,
        "pricing": order.pricing,
        "currency_code": order.currency_code,
        "subtotal_minor": sum(line.cost_minor for line in order.lines),
        "discount_minor": sum(line.discount_minor for line in order.lines),
        "total_minor": sum(line.total_minor for line in order.lines),
        "version": 1,
        "created_time": now,
        "updated_time": now,
    }
    try:
        connection.execute(insert(orders).values(row))
    except IntegrityError as error:
        if duplicates(error, orders, "id"):
            raise AppError(
                Kind.EXISTS, "ALREADY_EXISTS", "There is an order with this id already."
            ) from error
        raise
    return row


def _insert_items(
    connection: Connection, order: NewOrder, sold: Mapping[str, product_pb2.Product]
) -> list[dict[str, Any]]:
    rows = [
        {
            "order_id": order.id,
            "line": number,
            "product_id": line.product_id,
            "name": sold[line.product_id].name,
            "quantity": line.quantity,
            "unit_price_minor": line.unit_price_minor,
            "discount_minor": line.discount_minor,
            "line_total_minor": line.total_minor,
        }
        for number, line in enumerate(order.lines)
    ]
    connection.execute(insert(order_items), rows)
    return rows


def _change_status(connection: Connection, change: StatusChange, now: datetime) -> order_pb2.Order:
    """Set the status of an order and return it, locked for the rest of the transaction.

    Raises:
        AppError: MISSING/ORDER_NOT_FOUND; STALE/PRECONDITION_FAILED; CONFLICT/INVALID_STATE.
    """
    wanted = (
        update(orders)
        .where(orders.c.id == change.order_id, orders.c.status.in_(change.allowed_statuses))
        .values(status=change.status, version=orders.c.version + 1, updated_time=now)
    )
    if change.expected_version:
        wanted = wanted.where(orders.c.version == change.expected_version)
    while connection.execute(wanted).rowcount == 0:
        _raise_reason(connection, change)
    return read_order(connection, change.order_id)


def _raise_reason(connection: Connection, change: StatusChange) -> None:
    """Raise what stands against a change of status.

    It locks the order: what stood against it may be gone by now, but not change again after that.
    """
    wanted = select(orders.c.version, orders.c.status).where(orders.c.id == change.order_id)
    row = connection.execute(wanted.with_for_update()).mappings().first()
    if row is None:
        raise order_not_found()
    if change.expected_version not in (0, row["version"]):
        raise stale()
    if row["status"] not in change.allowed_statuses:
        status = row["status"]
        raise AppError(
            Kind.CONFLICT,
            "INVALID_STATE",
            f"The order is {status}, which does not allow this.",
            status=status,
        )
