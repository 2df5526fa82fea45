"""ProductRepository: products, their stock and its ledger."""

from __future__ import annotations

from grpc import ServicerContext

from arcana.repository.v1 import product_repository_pb2 as messages
from arcana.repository.v1.product_repository_pb2_grpc import ProductRepositoryServicer
from repository_tier.outbox import events_from_proto
from repository_tier.paging import page_from_proto
from repository_tier.product_catalogue import ProductCatalogue
from repository_tier.product_directory import ProductDirectory, product_order_from_proto
from repository_tier.product_filters import product_filter_from_proto
from repository_tier.product_search import ProductSearch
from repository_tier.servicers import product_requests as requests
from repository_tier.servicers.once_keys import once_key_of
from repository_tier.servicers.user_requests import known_id, wanted_ids
from repository_tier.stock import Stock
from repository_tier.stock_events import cause_of
from tier_runtime.batches import batch_to_wire, request_ids_of, require_items
from tier_runtime.context import rpc_context
from tier_runtime.validation import require
from tier_runtime.wire import message_field, repeated_field, serialized_as


class ProductServicer(ProductRepositoryServicer):
    """Each method checks presence, converts in, makes one call, and converts out."""

    def __init__(
        self,
        directory: ProductDirectory,
        search: ProductSearch,
        catalogue: ProductCatalogue,
        stock: Stock,
    ) -> None:
        self._directory = directory
        self._search = search
        self._catalogue = catalogue
        self._stock = stock

    def GetProduct(
        self, request: messages.GetProductRequest, context: ServicerContext
    ) -> messages.GetProductResponse:
        require(request, "product_id")
        product_id = known_id("product_id", request.product_id)
        product = self._directory.get(product_id, rpc_context(context).deadline)
        return serialized_as(messages.GetProductResponse, product)

    def BatchGetProducts(
        self, request: messages.BatchGetProductsRequest, context: ServicerContext
    ) -> messages.BatchGetProductsResponse:
        require_items("product_ids", len(request.product_ids))
        notes = request_ids_of(request.request_ids)
        rpc_context(context).note(items=len(request.product_ids), **notes)
        wanted = wanted_ids("product_id", request.product_ids)
        deadline = rpc_context(context).deadline
        found = self._directory.get_many(wanted, deadline, fresh=request.fresh)
        return serialized_as(messages.BatchGetProductsResponse, batch_to_wire(found))

    def ListProducts(
        self, request: messages.ListProductsRequest, context: ServicerContext
    ) -> messages.ListProductsResponse:
        wanted = product_filter_from_proto(request.filter)
        order = product_order_from_proto(request.sort, descending=request.page.descending)
        page = page_from_proto(request.page)
        products, place = self._directory.list(wanted, order, page, rpc_context(context).deadline)
        page_field = message_field(2, place.SerializeToString())
        return serialized_as(
            messages.ListProductsResponse, repeated_field(1, products) + page_field
        )

    def SearchProducts(
        self, request: messages.SearchProductsRequest, context: ServicerContext
    ) -> messages.SearchProductsResponse:
        wanted, limit = requests.words_from_proto(request)
        among = product_filter_from_proto(request.filter)
        products = self._search.find(wanted, among, limit, rpc_context(context).deadline)
        return serialized_as(messages.SearchProductsResponse, repeated_field(1, products))

    def CreateProduct(
        self, request: messages.CreateProductRequest, context: ServicerContext
    ) -> messages.CreateProductResponse:
        require(request, "product_id", "name", "currency_code", "status")
        key = once_key_of(request)
        product = requests.new_product_from_proto(request)
        events = events_from_proto(request.events)
        return self._catalogue.create(product, key, events, rpc_context(context).deadline)

    def UpdateProduct(
        self, request: messages.UpdateProductRequest, context: ServicerContext
    ) -> messages.UpdateProductResponse:
        require(request, "product_id")
        change = requests.product_change_from_proto(request)
        events = events_from_proto(request.events)
        call = rpc_context(context).call
        product = self._catalogue.update(change, cause_of(call), events, call.deadline)
        return messages.UpdateProductResponse(product=product)

    def UpdateStock(
        self, request: messages.UpdateStockRequest, context: ServicerContext
    ) -> messages.UpdateStockResponse:
        require(request, "product_id", "quantity_change")
        key = once_key_of(request)
        change = requests.stock_change_from_proto(request)
        events = events_from_proto(request.events)
        call = rpc_context(context).call
        return self._stock.update(change, key, cause_of(call), events, call.deadline)

    def BatchUpdateStock(
        self, request: messages.BatchUpdateStockRequest, context: ServicerContext
    ) -> messages.BatchUpdateStockResponse:
        if not request.HasField("idempotency_key"):
            require(request, "changes")
        key = once_key_of(request)
        changes = requests.stock_changes_from_proto(request.changes)
        rpc_context(context).note(items=len(changes))
        call = rpc_context(context).call
        return self._stock.update_many(changes, key, cause_of(call), call.deadline)

    def ListStockMovements(
        self, request: messages.ListStockMovementsRequest, context: ServicerContext
    ) -> messages.ListStockMovementsResponse:
        require(request, "product_id")
        product_id = known_id("product_id", request.product_id)
        page = page_from_proto(request.page)
        movements, place = self._stock.movements(
            product_id,
            page,
            descending=request.page.descending,
            deadline=rpc_context(context).deadline,
        )
        return messages.ListStockMovementsResponse(movements=movements, page=place)
