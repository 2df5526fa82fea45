"""Builds the services of products and orders."""

from __future__ import annotations

from functools import partial

from arcana.repository.v1 import (
    order_repository_pb2_grpc,
    product_pb2,
    product_repository_pb2_grpc,
)
from repository_tier.cache.message_cache import MessageCache
from repository_tier.cached_reads import CachedReads
from repository_tier.database import Database
from repository_tier.order_lists import OrderLists
from repository_tier.orders import Orders
from repository_tier.product_catalogue import ProductCatalogue
from repository_tier.product_directory import PRODUCTS, ProductDirectory
from repository_tier.product_search import ProductSearch
from repository_tier.servicers.order_servicer import OrderServicer
from repository_tier.servicers.product_servicer import ProductServicer
from repository_tier.stock import Stock
from repository_tier.totals import Totals
from tier_runtime.clock import Clock
from tier_runtime.ids import IdSource
from tier_runtime.server import Registration


def make_product_service(
    database: Database,
    cache: MessageCache[product_pb2.Product],
    totals: Totals,
    clock: Clock,
    ids: IdSource,
) -> Registration:
    """Build the service of products and their stock."""
    reads = CachedReads(PRODUCTS, database, cache, totals)
    products = ProductServicer(
        ProductDirectory(reads),
        ProductSearch(database, reads),
        ProductCatalogue(database, cache, clock, ids),
        Stock(database, cache, totals, clock, ids),
    )
    return Registration(
        "arcana.repository.v1.ProductRepository",
        partial(product_repository_pb2_grpc.add_ProductRepositoryServicer_to_server, products),
    )


def make_order_service(
    database: Database,
    cache: MessageCache[product_pb2.Product],
    totals: Totals,
    clock: Clock,
    ids: IdSource,
) -> Registration:
    """Build the service of orders, which change the stock of products."""
    orders = OrderServicer(OrderLists(database, totals), Orders(database, cache, clock, ids))
    return Registration(
        "arcana.repository.v1.OrderRepository",
        partial(order_repository_pb2_grpc.add_OrderRepositoryServicer_to_server, orders),
    )
