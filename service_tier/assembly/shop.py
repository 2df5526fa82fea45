"""Builds the services of products and orders."""

from __future__ import annotations

from functools import partial

from arcana.service.v1 import order_service_pb2_grpc, product_service_pb2_grpc
from service_tier.events import Events
from service_tier.idempotency import IdempotencyKeys
from service_tier.repository import Repository
from service_tier.servicers.orders import OrderServicer
from service_tier.servicers.products import ProductServicer
from service_tier.usecases.orders import Orders
from service_tier.usecases.placing import OrderPlacing
from service_tier.usecases.product_changes import ProductChanges
from service_tier.usecases.products import Products
from service_tier.usecases.stock import Stock
from tier_runtime.ids import IdSource
from tier_runtime.server import Registration


def make_product_service(
    repository: Repository, events: Events, ids: IdSource, idempotency: IdempotencyKeys
) -> Registration:
    """Build the service of products and their stock."""
    products = ProductServicer(
        Products(repository),
        ProductChanges(repository, events, ids),
        Stock(repository, idempotency),
        idempotency,
    )
    return Registration(
        "arcana.service.v1.ProductService",
        partial(product_service_pb2_grpc.add_ProductServiceServicer_to_server, products),
    )


def make_order_service(
    repository: Repository, events: Events, ids: IdSource, idempotency: IdempotencyKeys
) -> Registration:
    """Build the service of orders."""
    orders = OrderServicer(
        Orders(repository, events), OrderPlacing(repository, events, ids), idempotency
    )
    return Registration(
        "arcana.service.v1.OrderService",
        partial(order_service_pb2_grpc.add_OrderServiceServicer_to_server, orders),
    )
