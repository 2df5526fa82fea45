"""Products put into the database by hand, and what must always hold of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, case, func, insert, select, update

from arcana.common.v1.domain_event_pb2 import DomainEvent
from repository_tier.order_rows import CANCELLED
from repository_tier.tables import order_items, orders, outbox_events, products, stock_movements
from tier_runtime.clock import Clock
from tier_runtime.ids import Uuid7Source


class Shelf:
    """A look at stock behind the tier's back, and a hand in it."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._ids = Uuid7Source()

    def put(self, stock: int = 10, **values: Any) -> str:
        """Make a product and return its id; the first line of its ledger is its stock."""
        now = self._clock.now()
        row: dict[str, Any] = {
            "id": self._ids.new_id(),
            "name": "Tea",
            "name_key": "tea",
            "description": "",
            "price_minor": 1000,
            "currency_code": "USD",
            "low_stock_threshold": 0,
            "category": "",
            "status": "active",
            "version": 1,
            "created_time": now,
            "updated_time": now,
        }
        row |= values
        with self._engine.begin() as connection:
            connection.execute(insert(products).values(row | {"stock": 0}))
        product_id: str = row["id"]
        if stock:
            self.add(product_id, stock)
        return product_id

    def put_many(self, count: int, **values: Any) -> list[str]:
        """Make products and return their ids, in the order of ids."""
        return sorted(self.put(**values) for _ in range(count))

    def add(self, product_id: str, quantity: int) -> None:
        """Put more units of a product on the shelf."""
        stock = products.c.stock + quantity
        with self._engine.begin() as connection:
            connection.execute(
                update(products).where(products.c.id == product_id).values(stock=stock)
            )
            connection.execute(
                insert(stock_movements).values(
                    product_id=product_id,
                    id=self._ids.new_id(),
                    quantity_change=quantity,
                    reason="initial",
                    order_id=None,
                    created_time=self._clock.now(),
                )
            )

    def change(self, product_id: str, **values: Any) -> None:
        """Change a product as the tier would, but for its stock."""
        with self._engine.begin() as connection:
            connection.execute(
                update(products)
                .where(products.c.id == product_id)
                .values(version=products.c.version + 1, **values)
            )

    def stock(self, product_id: str) -> int:
        """Return what is in stock."""
        wanted = select(products.c.stock).where(products.c.id == product_id)
        with self._engine.begin() as connection:
            found: int | None = connection.scalar(wanted)
        assert found is not None
        return found

    def ledger(self, product_id: str) -> list[tuple[int, str]]:
        """Return changes and reasons of a product's movements, the first one first."""
        wanted = (
            select(stock_movements.c.quantity_change, stock_movements.c.reason)
            .where(stock_movements.c.product_id == product_id)
            .order_by(stock_movements.c.id)
        )
        with self._engine.begin() as connection:
            return [(change, reason) for change, reason in connection.execute(wanted)]

    def prices_paid(self, product_id: str) -> list[int]:
        """Return what each order paid for a unit, in the order in which they got it."""
        wanted = (
            select(order_items.c.unit_price_minor)
            .join(stock_movements, stock_movements.c.order_id == order_items.c.order_id)
            .where(stock_movements.c.product_id == product_id)
            .order_by(stock_movements.c.id)
        )
        with self._engine.begin() as connection:
            return list(connection.scalars(wanted))

    def events(self, *, prefix: str = "product.") -> list[DomainEvent]:
        """Return the events of a kind, the first one first."""
        wanted = (
            select(outbox_events.c.body)
            .where(outbox_events.c.type.startswith(prefix))
            .order_by(outbox_events.c.position)
        )
        with self._engine.begin() as connection:
            return [DomainEvent.FromString(body) for body in connection.scalars(wanted)]

    def event_types(self) -> list[str]:
        """Return the types of all events of products, the first one first."""
        return [event.type for event in self.events()]

    def require_balance(self) -> None:
        """Check that stock is what the ledger says, and that orders hold what they took."""
        moved, by_orders = self._sums(stock_movements.c.product_id)
        sold = self._sold()
        with self._engine.begin() as connection:
            rows: Sequence[Any] = connection.execute(select(products.c.id, products.c.stock)).all()
        for product_id, stock in rows:
            assert stock >= 0
            assert moved.get(product_id, 0) == stock
            assert by_orders.get(product_id, 0) == -sold.get(product_id, 0)

    def _sums(self, product_id: Any) -> tuple[dict[str, int], dict[str, int]]:
        change = stock_movements.c.quantity_change
        of_orders = case((stock_movements.c.order_id.is_not(None), change), else_=0)
        wanted = select(product_id, func.sum(change), func.sum(of_orders)).group_by(product_id)
        with self._engine.begin() as connection:
            rows = connection.execute(wanted).all()
        return {row[0]: int(row[1]) for row in rows}, {row[0]: int(row[2]) for row in rows}

    def _sold(self) -> dict[str, int]:
        wanted = (
            select(order_items.c.product_id, func.sum(order_items.c.quantity))
            .join(orders, orders.c.id == order_items.c.order_id)
            .where(orders.c.status != CANCELLED)
            .group_by(order_items.c.product_id)
        )
        with self._engine.begin() as connection:
            return {row[0]: int(row[1]) for row in connection.execute(wanted)}
