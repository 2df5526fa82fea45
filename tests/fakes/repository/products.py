"""The product repository, but for the events of low stock, which only the real one appends."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from arcana.repository.v1 import product_pb2, product_repository_pb2_grpc
from arcana.repository.v1 import product_repository_pb2 as pb
from tests.fakes.repository.listing import SortKey, digest_of, page_of, time_key
from tests.fakes.repository.search import matching
from tests.fakes.repository.state import State, stale
from tier_runtime.errors import AppError, Kind
from tier_runtime.status import to_status
from tier_runtime.validation import invalid

MAX_STOCK = 1_000_000_000

_KEYS: dict[int, Callable[[product_pb2.Product], SortKey]] = {
    pb.PRODUCT_SORT_FIELD_UNSPECIFIED: lambda product: time_key(product.created_time),
    pb.PRODUCT_SORT_FIELD_CREATED_TIME: lambda product: time_key(product.created_time),
    pb.PRODUCT_SORT_FIELD_UPDATED_TIME: lambda product: time_key(product.updated_time),
    pb.PRODUCT_SORT_FIELD_NAME: lambda product: (product.name.casefold(),),
    pb.PRODUCT_SORT_FIELD_PRICE: lambda product: (product.price_minor,),
}


class FakeProducts(product_repository_pb2_grpc.ProductRepositoryServicer):
    def __init__(self, state: State) -> None:
        self._state = state

    def GetProduct(
        self, request: pb.GetProductRequest, context: grpc.ServicerContext
    ) -> pb.GetProductResponse:
        with self._state.lock:
            return pb.GetProductResponse(product=self._state.product(request.product_id))

    def BatchGetProducts(
        self, request: pb.BatchGetProductsRequest, context: grpc.ServicerContext
    ) -> pb.BatchGetProductsResponse:
        if not 0 < len(request.product_ids) <= 256:
            raise invalid({"product_ids": ["Too few or too many."]})
        with self._state.lock:
            results = [self._result(product_id) for product_id in request.product_ids]
        return pb.BatchGetProductsResponse(results=results)

    def _result(self, product_id: str) -> pb.BatchGetProductsResult:
        try:
            return pb.BatchGetProductsResult(product=self._state.product(product_id))
        except AppError as error:
            return pb.BatchGetProductsResult(error=to_status(error))

    def ListProducts(
        self, request: pb.ListProductsRequest, context: grpc.ServicerContext
    ) -> pb.ListProductsResponse:
        if request.sort not in _KEYS:
            raise invalid({"sort": ["Unknown."]})
        with self._state.lock:
            found, place = page_of(
                (one for one in self._state.products.values() if _passes(one, request.filter)),
                lambda product: (*_KEYS[request.sort](product), product.id),
                request.page,
                digest_of(request.filter, request.sort, request.page),
            )
            return pb.ListProductsResponse(products=found, page=place)

    def SearchProducts(
        self, request: pb.SearchProductsRequest, context: grpc.ServicerContext
    ) -> pb.SearchProductsResponse:
        with self._state.lock:
            wanted = (one for one in self._state.products.values() if _passes(one, request.filter))
            found = matching(wanted, request.query)
            return pb.SearchProductsResponse(products=found[: request.limit or 20])

    def CreateProduct(
        self, request: pb.CreateProductRequest, context: grpc.ServicerContext
    ) -> pb.CreateProductResponse:
        with self._state.lock:
            return self._state.once(request, lambda: self._created(request))

    def UpdateProduct(
        self, request: pb.UpdateProductRequest, context: grpc.ServicerContext
    ) -> pb.UpdateProductResponse:
        with self._state.lock:
            product = self._versioned(request.product_id, request.expected_version)
            for field, value in request.ListFields():
                if field.name in _CHANGEABLE:
                    setattr(product, field.name, value)
            product.version += 1
            product.updated_time.CopyFrom(self._state.now())
            self._state.events.extend(request.events)
            return pb.UpdateProductResponse(product=product)

    def UpdateStock(
        self, request: pb.UpdateStockRequest, context: grpc.ServicerContext
    ) -> pb.UpdateStockResponse:
        def made() -> pb.UpdateStockResponse:
            product = self._versioned(request.product_id, request.expected_version)
            self._move(product, request.quantity_change, request.reason)
            self._state.events.extend(request.events)
            return pb.UpdateStockResponse(product=product)

        with self._state.lock:
            return self._state.once(request, made)

    def BatchUpdateStock(
        self, request: pb.BatchUpdateStockRequest, context: grpc.ServicerContext
    ) -> pb.BatchUpdateStockResponse:
        least = 0 if request.HasField("idempotency_key") else 1
        if not least <= len(request.changes) <= 100:
            raise invalid({"changes": ["Too few or too many."]})

        def made() -> pb.BatchUpdateStockResponse:
            return pb.BatchUpdateStockResponse(results=[self._changed(c) for c in request.changes])

        with self._state.lock:
            return self._state.once(request, made)

    def ListStockMovements(
        self, request: pb.ListStockMovementsRequest, context: grpc.ServicerContext
    ) -> pb.ListStockMovementsResponse:
        with self._state.lock:
            product = self._state.product(request.product_id)
            found, place = page_of(
                self._state.movements.get(product.id, []),
                lambda movement: (movement.id,),
                request.page,
                digest_of(pb.GetProductRequest(product_id=product.id), 0, request.page),
            )
            return pb.ListStockMovementsResponse(movements=found, page=place)

    def _created(self, request: pb.CreateProductRequest) -> pb.CreateProductResponse:
        if request.product_id in self._state.products:
            raise AppError(Kind.EXISTS, "ALREADY_EXISTS", "Taken.")
        now = self._state.now()
        product = product_pb2.Product(
            id=request.product_id,
            name=request.name,
            description=request.description,
            price_minor=request.price_minor,
            currency_code=request.currency_code,
            stock=request.stock,
            low_stock_threshold=request.low_stock_threshold,
            category=request.category,
            status=request.status,
            version=1,
            created_time=now,
            updated_time=now,
        )
        self._state.products[product.id] = product
        if request.stock:
            self._state.write_movement(product, request.stock, "initial")
        self._state.events.extend(request.events)
        return pb.CreateProductResponse(product=product)

    def _changed(self, change: pb.StockChange) -> pb.StockChangeResult:
        try:
            self._move(
                self._state.product(change.product_id), change.quantity_change, change.reason
            )
        except AppError as error:
            return pb.StockChangeResult(error=to_status(error))
        return pb.StockChangeResult()

    def _versioned(self, product_id: str, expected_version: int) -> product_pb2.Product:
        product = self._state.product(product_id)
        if expected_version and product.version != expected_version:
            raise stale()
        return product

    def _move(self, product: product_pb2.Product, change: int, reason: str) -> None:
        if not change:
            raise invalid({"quantity_change": ["None."]})
        if product.stock + change > MAX_STOCK:
            raise invalid({"quantity_change": ["Too many."]})
        if product.stock + change < 0:
            raise AppError(
                Kind.CONFLICT,
                "INSUFFICIENT_STOCK",
                f"Product {product.id}: {product.stock} available, {-change} asked for.",
                field_errors={"quantity_change": ["Too many."]},
                product_id=product.id,
                available=product.stock,
            )
        self._state.move_stock(product, change, reason)


_CHANGEABLE = {
    "name",
    "description",
    "price_minor",
    "currency_code",
    "low_stock_threshold",
    "category",
    "status",
}


def _passes(product: product_pb2.Product, wanted: pb.ProductFilter) -> bool:
    return (
        (not wanted.status or product.status == wanted.status)
        and (not wanted.category or product.category == wanted.category)
        and (
            not wanted.HasField("min_price_minor") or product.price_minor >= wanted.min_price_minor
        )
        and (
            not wanted.HasField("max_price_minor") or product.price_minor <= wanted.max_price_minor
        )
        and (not wanted.HasField("in_stock") or (product.stock > 0) == wanted.in_stock)
    )
