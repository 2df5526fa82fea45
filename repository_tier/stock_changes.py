"""The one way in which stock changes, for whatever transaction changes it.

First the units of each product, in the order of ids, then the ledger. Two transactions that take
the same products in the same order wait for each other and never in a circle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, insert, select, update

from arcana.repository.v1 import product_pb2
from repository_tier.outbox import append_events
from repository_tier.product_rows import PRODUCT_COLUMNS, find_products, product_from_row
from repository_tier.stock_events import Cause, Crossing, crossing_events
from repository_tier.tables import products, stock_movements
from tier_runtime.ids import IdSource

MAX_STOCK = 1_000_000_000

# An index of price or status looks as good to MySQL as the key. It would lock that index first and
# then the row, and whoever has the row and changes the index would meet it in a deadlock.
_BY_KEY = "FORCE INDEX (PRIMARY)"
_UPDATE = (
    update(products)
    .with_hint(_BY_KEY, dialect_name="mysql")
    .with_hint(_BY_KEY, dialect_name="mariadb")
)


@dataclass(frozen=True, slots=True)
class Movement:
    """Units that came (above 0) or went (below 0), as the ledger tells of them."""

    product_id: str
    quantity_change: int
    reason: str
    # None: no order took them or gave them back.
    order_id: str | None = None


def move_units(
    connection: Connection,
    product_id: str,
    quantity_change: int,
    now: datetime,
    *conditions: ColumnElement[bool],
) -> bool:
    """Change the stock of a product if it stays within its range and all conditions hold.

    Return whether it was changed; if so, the product is locked for the rest of the transaction.
    """
    # Decided by the statement that writes. A stock that was read before, and a difference that is
    # compared with 0, would both sell a unit twice.
    if quantity_change < 0:
        fits = products.c.stock >= -quantity_change
    else:
        fits = products.c.stock <= MAX_STOCK - quantity_change
    changed = connection.execute(
        _UPDATE.where(products.c.id == product_id, fits, *conditions).values(
            stock=products.c.stock + quantity_change,
            version=products.c.version + 1,
            updated_time=now,
        )
    )
    return changed.rowcount == 1


def lock_products(
    connection: Connection, product_ids: Collection[str]
) -> dict[str, product_pb2.Product]:
    """Lock those of these products that there are, in the order of ids, and return them by id.

    For finding out why units could not be moved. What is found then stays as it is, so the
    reason is either among it or gone, and moving them again is decided.
    """
    wanted = (
        select(*PRODUCT_COLUMNS)
        .where(products.c.id.in_(product_ids))
        .order_by(products.c.id)
        .with_for_update()
    )
    rows = connection.execute(wanted).mappings()
    return {row["id"]: product_from_row(row) for row in rows}


def shortage(product_id: str, available: int, asked: int) -> str:
    """Return what a caller is told of a product that has too few units."""
    return f"Product {product_id}: {available} available, {asked} asked for."


def write_ledger(
    connection: Connection,
    movements: Sequence[Movement],
    cause: Cause,
    now: datetime,
    ids: IdSource,
) -> dict[str, product_pb2.Product]:
    """Write down units that have been moved, with the events of stock that got low or ran out.

    What counts is where a product's stock was before the transaction and where it is after it:
    nobody sees it in between. Return the products as they are now, by id.
    """
    if not movements:
        return {}
    append_movements(connection, movements, now, ids)
    changes: Counter[str] = Counter()
    for movement in movements:
        changes[movement.product_id] += movement.quantity_change
    found = {product.id: product for product in find_products(connection, list(changes))}
    crossings = [
        Crossing(product, product.stock - changes[product_id], product.low_stock_threshold)
        for product_id, product in sorted(found.items())
    ]
    append_events(connection, crossing_events(crossings, cause, now, ids), now)
    return found


def append_movements(
    connection: Connection, movements: Sequence[Movement], now: datetime, ids: IdSource
) -> None:
    """Write movements at the end of the ledger, in the order given.

    Their ids are made while their products are locked, so that a product's movements are in the
    order in which they happened.
    """
    connection.execute(
        insert(stock_movements),
        [
            {
                "product_id": movement.product_id,
                "id": ids.new_id(),
                "quantity_change": movement.quantity_change,
                "reason": movement.reason,
                "order_id": movement.order_id,
                "created_time": now,
            }
            for movement in movements
        ],
    )
