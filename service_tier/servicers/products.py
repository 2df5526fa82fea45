"""ProductService over its use cases."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from arcana.service.v1 import product_service_pb2 as pb
from arcana.service.v1 import product_service_pb2_grpc
from service_tier.conversion.paging import page_from_request
from service_tier.conversion.products import (
    batch_result_to_proto,
    change_from_proto,
    creation_from_proto,
    filter_from_proto,
    product_to_proto,
    sent_changes_from_proto,
    sort_from_proto,
    stock_change_from_proto,
)
from service_tier.idempotency import IdempotencyKeys
from service_tier.usecases.product_changes import ProductChanges
from service_tier.usecases.products import Products
from service_tier.usecases.stock import Stock
from tier_runtime.batches import require_items
from tier_runtime.context import rpc_context
from tier_runtime.validation import require
from tier_runtime.wire import message_field, serialized_as


class ProductServicer(product_service_pb2_grpc.ProductServiceServicer):
    """Products and their stock."""

    def __init__(
        self,
        products: Products,
        changes: ProductChanges,
        stock: Stock,
        idempotency: IdempotencyKeys,
    ) -> None:
        self._products = products
        self._changes = changes
        self._stock = stock
        self._idempotency = idempotency

    def GetProduct(
        self, request: pb.GetProductRequest, context: grpc.ServicerContext
    ) -> pb.GetProductResponse:
        """Read one product."""
        require(request, "product_id")
        answer = self._products.get(rpc_context(context).call, request.product_id)
        return serialized_as(pb.GetProductResponse, answer)

    def BatchGetProducts(
        self, request: pb.BatchGetProductsRequest, context: grpc.ServicerContext
    ) -> pb.BatchGetProductsResponse:
        """Read several products."""
        require_items("product_ids", len(request.product_ids))
        rpc_context(context).note(items=len(request.product_ids))
        answer = self._products.batch_get(rpc_context(context).call, request.product_ids)
        return serialized_as(pb.BatchGetProductsResponse, answer)

    def ListProducts(
        self, request: pb.ListProductsRequest, context: grpc.ServicerContext
    ) -> pb.ListProductsResponse:
        """List products page by page."""
        product_filter = filter_from_proto(request.filter)
        page, sort = page_from_request(request.page), sort_from_proto(request.sort)
        listed = self._products.list(rpc_context(context).call, product_filter, page, sort)
        return serialized_as(pb.ListProductsResponse, listed)

    def SearchProducts(
        self, request: pb.SearchProductsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.SearchProductsResponse]:
        """Stream the products that match best."""
        require(request, "query")
        product_filter = filter_from_proto(request.filter)
        found = self._products.search(
            rpc_context(context).call, request.query, product_filter, request.limit
        )
        for product in found:
            yield serialized_as(pb.SearchProductsResponse, message_field(1, product))

    def CreateProduct(
        self, request: pb.CreateProductRequest, context: grpc.ServicerContext
    ) -> pb.CreateProductResponse:
        """Make a product."""
        require(request, "name")
        call = rpc_context(context).call
        key = self._idempotency.key_for(call.actor, "CreateProduct", request.request_id, request)
        created = self._changes.create(call, creation_from_proto(request), request.stock, key)
        return pb.CreateProductResponse(
            product=product_to_proto(created.product), replayed=created.replayed
        )

    def UpdateProduct(
        self, request: pb.UpdateProductRequest, context: grpc.ServicerContext
    ) -> pb.UpdateProductResponse:
        """Change what is told of a product."""
        require(request, "product_id")
        change = change_from_proto(request)
        product = self._changes.update(
            rpc_context(context).call, request.product_id, request.expected_version, change
        )
        return pb.UpdateProductResponse(product=product_to_proto(product))

    def UpdateStock(
        self, request: pb.UpdateStockRequest, context: grpc.ServicerContext
    ) -> pb.UpdateStockResponse:
        """Change the stock of one product."""
        require(request, "product_id", "quantity_change")
        call = rpc_context(context).call
        key = self._idempotency.key_for(call.actor, "UpdateStock", request.request_id, request)
        change = stock_change_from_proto(request)
        updated = self._stock.update(call, change, request.expected_version, key)
        return pb.UpdateStockResponse(
            product=product_to_proto(updated.product), replayed=updated.replayed
        )

    def BatchUpdateStock(
        self,
        request_iterator: Iterator[pb.BatchUpdateStockRequest],
        context: grpc.ServicerContext,
    ) -> pb.BatchUpdateStockResponse:
        """Change the stock of many products."""
        sent = sent_changes_from_proto(request_iterator)
        result = self._stock.batch_update(rpc_context(context).call, sent)
        rpc_context(context).note(items=result.success_count + result.failure_count)
        return batch_result_to_proto(result)

    def ListStockMovements(
        self, request: pb.ListStockMovementsRequest, context: grpc.ServicerContext
    ) -> pb.ListStockMovementsResponse:
        """List the ledger of one product page by page."""
        require(request, "product_id")
        page = page_from_request(request.page)
        listed = self._stock.list_movements(rpc_context(context).call, request.product_id, page)
        return serialized_as(pb.ListStockMovementsResponse, listed)

    def DeleteProduct(
        self, request: pb.DeleteProductRequest, context: grpc.ServicerContext
    ) -> pb.DeleteProductResponse:
        """Archive a product."""
        require(request, "product_id")
        self._changes.delete(
            rpc_context(context).call, request.product_id, request.expected_version
        )
        return pb.DeleteProductResponse()
