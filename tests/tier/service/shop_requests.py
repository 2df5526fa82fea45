"""Requests about products, stock and orders for the tests that the fake and the real one share."""

from __future__ import annotations

from typing import Any

from arcana.common.v1 import domain_event_pb2, paging_pb2
from arcana.repository.v1 import (
    idempotency_pb2,
    order_pb2,
    order_repository_pb2,
    product_pb2,
    product_repository_pb2,
)
from service_tier.repository import Repository
from tests.fakes.clock import FakeClock
from tests.tier.service.contract_requests import digest
from tier_runtime.ids import Uuid7Source
from tier_runtime.timestamps import timestamp_from

ACTIVE = product_pb2.PRODUCT_STATUS_ACTIVE
DRAFT = product_pb2.PRODUCT_STATUS_DRAFT
PENDING = order_pb2.ORDER_STATUS_PENDING
PAID = order_pb2.ORDER_STATUS_PAID
SHIPPED = order_pb2.ORDER_STATUS_SHIPPED
CANCELLED = order_pb2.ORDER_STATUS_CANCELLED

USER = "019aa000-0000-7000-8000-00000000000c"


class Shop:
    """A repository tier of any kind, and what the shared tests keep and sell in it."""

    def __init__(self, repository: Repository, clock: FakeClock) -> None:
        self.products = repository.products
        self.orders = repository.orders
        self.clock = clock
        self._ids = Uuid7Source()

    def new_id(self) -> str:
        return self._ids.new_id()

    def key(self, word: str, content: str = "") -> idempotency_pb2.IdempotencyKey:
        return idempotency_pb2.IdempotencyKey(
            scope="system:Test", key=word, fingerprint=digest(content)
        )

    def event(self, event_type: str, aggregate_id: str) -> domain_event_pb2.DomainEvent:
        return domain_event_pb2.DomainEvent(
            id=self.new_id(),
            type=event_type,
            aggregate_type=event_type.partition(".")[0],
            aggregate_id=aggregate_id,
            occurred_time=timestamp_from(self.clock.now()),
        )

    def creation(
        self, name: str = "Lamp", **fields: Any
    ) -> product_repository_pb2.CreateProductRequest:
        product_id = self.new_id()
        told: dict[str, Any] = {
            "price_minor": 1999,
            "currency_code": "USD",
            "stock": 10,
            "status": ACTIVE,
            **fields,
        }
        return product_repository_pb2.CreateProductRequest(
            product_id=product_id,
            name=name,
            events=[self.event("product.created", product_id)],
            **told,
        )

    def product(self, name: str = "Lamp", **fields: Any) -> product_pb2.Product:
        return self.products.CreateProduct(self.creation(name, **fields)).product

    def read(self, product_id: str) -> product_pb2.Product:
        return self.products.GetProduct(
            product_repository_pb2.GetProductRequest(product_id=product_id)
        ).product

    def batch(
        self, *product_ids: str, fresh: bool = False
    ) -> list[product_repository_pb2.BatchGetProductsResult]:
        request = product_repository_pb2.BatchGetProductsRequest(
            product_ids=product_ids, request_ids=["r-1"], fresh=fresh
        )
        return list(self.products.BatchGetProducts(request).results)

    def update(self, product_id: str, version: int = 0, **fields: Any) -> product_pb2.Product:
        request = product_repository_pb2.UpdateProductRequest(
            product_id=product_id,
            expected_version=version,
            events=[self.event("product.updated", product_id)],
            **fields,
        )
        return self.products.UpdateProduct(request).product

    def move(
        self, product_id: str, units: int, **fields: Any
    ) -> product_repository_pb2.UpdateStockResponse:
        return self.products.UpdateStock(
            product_repository_pb2.UpdateStockRequest(
                product_id=product_id, quantity_change=units, **fields
            )
        )

    def move_many(
        self, *changes: tuple[str, int], key: idempotency_pb2.IdempotencyKey | None = None
    ) -> product_repository_pb2.BatchUpdateStockResponse:
        return self.products.BatchUpdateStock(
            product_repository_pb2.BatchUpdateStockRequest(
                idempotency_key=key,
                changes=[
                    product_repository_pb2.StockChange(product_id=one, quantity_change=units)
                    for one, units in changes
                ],
            )
        )

    def ledger(self, product_id: str, **page: Any) -> list[tuple[int, str, str]]:
        listed = self.products.ListStockMovements(
            product_repository_pb2.ListStockMovementsRequest(
                product_id=product_id, page=paging_pb2.PageRequest(page_size=100, **page)
            )
        )
        return [(one.quantity_change, one.reason, one.order_id) for one in listed.movements]

    def placing(
        self, *lines: tuple[product_pb2.Product, int], discount: int = 0, **fields: Any
    ) -> order_repository_pb2.PlaceOrderRequest:
        """Return the request for an order of these products at the prices that they have here.

        The discount is that of each line.
        """
        order_id = self.new_id()
        told: dict[str, Any] = {
            "order_id": order_id,
            "user_id": USER,
            "currency_code": lines[0][0].currency_code,
            "pricing": order_pb2.PRICING_REGULAR,
            "total_minor": sum(one.price_minor * units - discount for one, units in lines),
            **fields,
        }
        return order_repository_pb2.PlaceOrderRequest(
            items=[
                order_repository_pb2.PricedLine(
                    product_id=one.id,
                    quantity=units,
                    unit_price_minor=one.price_minor,
                    discount_minor=discount,
                )
                for one, units in lines
            ],
            events=[self.event("order.created", order_id)],
            **told,
        )

    def order(self, *lines: tuple[product_pb2.Product, int], **fields: Any) -> order_pb2.Order:
        return self.orders.PlaceOrder(self.placing(*lines, **fields)).order

    def read_order(self, order_id: str) -> order_pb2.Order:
        return self.orders.GetOrder(order_repository_pb2.GetOrderRequest(order_id=order_id)).order

    def cancel(self, order_id: str, *allowed: order_pb2.OrderStatus.ValueType) -> order_pb2.Order:
        return self.orders.CancelOrder(
            order_repository_pb2.CancelOrderRequest(
                order_id=order_id,
                allowed_statuses=allowed or (PENDING, PAID),
                events=[self.event("order.cancelled", order_id)],
            )
        ).order

    def advance(
        self,
        order_id: str,
        before: order_pb2.OrderStatus.ValueType,
        status: order_pb2.OrderStatus.ValueType,
        version: int = 0,
    ) -> order_pb2.Order:
        return self.orders.UpdateOrderStatus(
            order_repository_pb2.UpdateOrderStatusRequest(
                order_id=order_id,
                expected_version=version,
                allowed_statuses=[before],
                status=status,
                events=[self.event("order.paid", order_id)],
            )
        ).order
