"""What a shop's database holds, read past the tiers: what answers say is held against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.pool import NullPool

from arcana.common.v1.domain_event_pb2 import DomainEvent
from repository_tier.tables import order_items, orders, outbox_events, products, stock_movements
from tests.stores import Store


@dataclass(frozen=True, slots=True)
class KeptOrder:
    """An order as it is in the database, with what one unit cost and how many were sold."""

    status: str
    units: Mapping[str, int]
    unit_prices: Mapping[str, int]


class Books:
    """Reads the database of a shop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def stock(self) -> dict[str, int]:
        """Give the stock of every product, once its ledger has been seen to say the same."""
        ledger = (
            select(func.coalesce(func.sum(stock_movements.c.quantity_change), 0))
            .where(stock_movements.c.product_id == products.c.id)
            .scalar_subquery()
        )
        with self._engine.connect() as connection:
            rows = list(
                connection.execute(select(products.c.id, products.c.stock, ledger.label("ledger")))
            )
        assert {row.id: row.stock for row in rows} == {row.id: int(row.ledger) for row in rows}
        assert all(row.stock >= 0 for row in rows)
        return {row.id: row.stock for row in rows}

    def movements(self, product_id: str) -> list[int]:
        """Give a product's ledger, in the order of its ids."""
        changes = select(stock_movements.c.quantity_change).order_by(stock_movements.c.id)
        with self._engine.connect() as connection:
            return list(
                connection.scalars(changes.where(stock_movements.c.product_id == product_id))
            )

    def orders(self) -> dict[str, KeptOrder]:
        """Give all orders by their ids."""
        with self._engine.connect() as connection:
            statuses = {row.id: row.status for row in connection.execute(select(orders))}
            items = list(connection.execute(select(order_items)))
        units: dict[str, Counter[str]] = {order_id: Counter() for order_id in statuses}
        prices: dict[str, dict[str, int]] = {order_id: {} for order_id in statuses}
        for item in items:
            units[item.order_id][item.product_id] += item.quantity
            prices[item.order_id][item.product_id] = item.unit_price_minor
        return {
            order_id: KeptOrder(
                status, MappingProxyType(units[order_id]), MappingProxyType(prices[order_id])
            )
            for order_id, status in statuses.items()
        }

    def live_units(self) -> Counter[str]:
        """Count the units of each product in orders that are not cancelled."""
        live: Counter[str] = Counter()
        for order in self.orders().values():
            if order.status != "cancelled":
                live.update(order.units)
        return live

    def events(self) -> list[DomainEvent]:
        """Give the outbox, in the order of its positions."""
        bodies = select(outbox_events.c.body).order_by(outbox_events.c.position)
        with self._engine.connect() as connection:
            return [DomainEvent.FromString(body) for body in connection.scalars(bodies)]


@contextmanager
def open_books(store: Store) -> Iterator[Books]:
    """Open the books of the shop in a store."""
    engine = create_engine(store.database_url, poolclass=NullPool)
    yield Books(engine)
    engine.dispose()
