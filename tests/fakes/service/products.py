"""ProductService in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from arcana.service.v1 import product_service_pb2 as pb
from arcana.service.v1.product_pb2 import (
    PRODUCT_STATUS_ACTIVE,
    PRODUCT_STATUS_ARCHIVED,
    PRODUCT_STATUS_DRAFT,
    Product,
)
from tests.fakes.service.memory import FakeServiceTier, require_admin
from tests.fakes.service.pages import page_of
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind
from tier_runtime.status import to_status
from tier_runtime.validation import invalid

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_SORT_KEYS: dict[int, Callable[[Product], Any]] = {
    pb.PRODUCT_SORT_FIELD_NAME: lambda product: (product.name.casefold(), product.id),
    pb.PRODUCT_SORT_FIELD_PRICE: lambda product: (product.price_minor, product.id),
}


class FakeProducts:
    def __init__(self, tier: FakeServiceTier) -> None:
        self._tier = tier

    def GetProduct(self, request: pb.GetProductRequest) -> pb.GetProductResponse:
        actor = self._tier.enter("GetProduct", request)
        return pb.GetProductResponse(product=self._visible(actor, request.product_id))

    def BatchGetProducts(self, request: pb.BatchGetProductsRequest) -> pb.BatchGetProductsResponse:
        actor = self._tier.enter("BatchGetProducts", request)
        results = [self._result(actor, product_id) for product_id in request.product_ids]
        return pb.BatchGetProductsResponse(results=results)

    def _result(self, actor: Actor, product_id: str) -> pb.BatchGetProductsResult:
        try:
            return pb.BatchGetProductsResult(product=self._visible(actor, product_id))
        except AppError as error:
            return pb.BatchGetProductsResult(error=to_status(error))

    def ListProducts(self, request: pb.ListProductsRequest) -> pb.ListProductsResponse:
        actor = self._tier.enter("ListProducts", request)
        found = self._found(actor, request.filter)
        found.sort(
            key=_SORT_KEYS.get(request.sort, lambda product: product.id),
            reverse=request.page.descending,
        )
        items, result = page_of(found, request.page)
        return pb.ListProductsResponse(products=items, page=result)

    def SearchProducts(
        self, request: pb.SearchProductsRequest
    ) -> Iterator[pb.SearchProductsResponse]:
        actor = self._tier.enter("SearchProducts", request)
        words = request.query.casefold().split()
        found = [
            product
            for product in self._found(actor, request.filter)
            if all(word in product.name.casefold() for word in words)
        ]
        for product in found[: request.limit or 20]:
            self._tier.before("SearchProducts.next")
            yield pb.SearchProductsResponse(product=product)

    def CreateProduct(self, request: pb.CreateProductRequest) -> pb.CreateProductResponse:
        require_admin(self._tier.enter("CreateProduct", request))
        answer: pb.CreateProductResponse = self._tier.once(
            "CreateProduct", request, lambda: self._made(request)
        )
        return answer

    def _made(self, request: pb.CreateProductRequest) -> pb.CreateProductResponse:
        product = self._tier.add_product(
            request.name,
            description=request.description,
            price_minor=request.price_minor,
            currency_code=request.currency_code or "USD",
            stock=request.stock,
            low_stock_threshold=request.low_stock_threshold,
            category=request.category,
            status=request.status or PRODUCT_STATUS_DRAFT,
        )
        return pb.CreateProductResponse(product=product)

    def UpdateProduct(self, request: pb.UpdateProductRequest) -> pb.UpdateProductResponse:
        require_admin(self._tier.enter("UpdateProduct", request))
        product = self._at_version(request.product_id, request.expected_version)
        for name in (
            "name",
            "description",
            "price_minor",
            "currency_code",
            "low_stock_threshold",
            "category",
        ):
            if request.HasField(name):
                setattr(product, name, getattr(request, name))
        product.status = request.status or product.status
        self._tier.touch(product)
        return pb.UpdateProductResponse(product=product)

    def DeleteProduct(self, request: pb.DeleteProductRequest) -> pb.DeleteProductResponse:
        require_admin(self._tier.enter("DeleteProduct", request))
        product = self._at_version(request.product_id, request.expected_version)
        if product.status != PRODUCT_STATUS_ARCHIVED:
            product.status = PRODUCT_STATUS_ARCHIVED
            self._tier.touch(product)
        return pb.DeleteProductResponse()

    def UpdateStock(self, request: pb.UpdateStockRequest) -> pb.UpdateStockResponse:
        require_admin(self._tier.enter("UpdateStock", request))

        def changed() -> pb.UpdateStockResponse:
            self._at_version(request.product_id, request.expected_version)
            product = self._moved(request.product_id, request.quantity_change, request.reason)
            return pb.UpdateStockResponse(product=product)

        answer: pb.UpdateStockResponse = self._tier.once("UpdateStock", request, changed)
        return answer

    def BatchUpdateStock(
        self, request_iterator: Iterator[pb.BatchUpdateStockRequest]
    ) -> pb.BatchUpdateStockResponse:
        """Make the changes one by one; what comes too late in the stream is not made."""
        first = next(request_iterator)
        require_admin(self._tier.enter("BatchUpdateStock", first))
        answer: pb.BatchUpdateStockResponse = self._tier.once(
            "BatchUpdateStock", first, lambda: self._made_all(first, request_iterator)
        )
        return answer

    def _made_all(
        self, first: pb.BatchUpdateStockRequest, others: Iterator[pb.BatchUpdateStockRequest]
    ) -> pb.BatchUpdateStockResponse:
        answer = pb.BatchUpdateStockResponse()
        change: pb.BatchUpdateStockRequest | None = first
        index = 0
        while change is not None:
            self._tier.before("BatchUpdateStock.next")
            try:
                _require_sound(change)
                self._moved(change.product_id.lower(), change.quantity_change, change.reason)
                answer.success_count += 1
            except AppError as error:
                answer.failure_count += 1
                answer.errors.add(
                    index=index,
                    product_id=change.product_id,
                    code=error.code,
                    message=error.message,
                )
            change, index = next(others, None), index + 1
        return answer

    def ListStockMovements(
        self, request: pb.ListStockMovementsRequest
    ) -> pb.ListStockMovementsResponse:
        require_admin(self._tier.enter("ListStockMovements", request))
        self._tier.product(request.product_id)
        movements = sorted(
            self._tier.movements[request.product_id],
            key=lambda movement: movement.id,
            reverse=request.page.descending,
        )
        items, result = page_of(movements, request.page)
        return pb.ListStockMovementsResponse(movements=items, page=result)

    def _moved(self, product_id: str, change: int, reason: str) -> Product:
        with self._tier.lock:
            product = self._tier.product(product_id)
            if product.stock + change < 0:
                text = f"Product {product_id}: {product.stock} available, {-change} asked for."
                raise AppError(
                    Kind.CONFLICT,
                    "INSUFFICIENT_STOCK",
                    "There are too few units.",
                    field_errors={"quantity_change": [text]},
                    product_id=product_id,
                    available=product.stock,
                )
            self._tier.move(product, change, reason)
            return product

    def _found(self, actor: Actor, wanted: pb.ProductFilter) -> list[Product]:
        return [
            product
            for product in self._tier.products.values()
            if _is_visible(actor, product)
            and wanted.status in {0, product.status}
            and wanted.category in {"", product.category}
            and (
                not wanted.HasField("min_price_minor")
                or product.price_minor >= wanted.min_price_minor
            )
            and (
                not wanted.HasField("max_price_minor")
                or product.price_minor <= wanted.max_price_minor
            )
            and (not wanted.HasField("in_stock") or wanted.in_stock is (product.stock > 0))
        ]

    def _visible(self, actor: Actor, product_id: str) -> Product:
        product = self._tier.product(product_id)
        if not _is_visible(actor, product):
            raise AppError(Kind.MISSING, "PRODUCT_NOT_FOUND", "There is no such product.")
        return product

    def _at_version(self, product_id: str, version: int) -> Product:
        product = self._tier.product(product_id)
        if version not in {0, product.version}:
            raise AppError(Kind.STALE, "PRECONDITION_FAILED", "The product has changed since.")
        return product


def _require_sound(change: pb.BatchUpdateStockRequest) -> None:
    faults = {
        "product_id": [] if _UUID.fullmatch(change.product_id) else ["Not a UUID."],
        "quantity_change": [] if 0 < abs(change.quantity_change) <= 10**9 else ["Out of range."],
        "reason": ["Too long."] if len(change.reason) > 255 else [],
    }
    if any(faults.values()):
        raise invalid({field: messages for field, messages in faults.items() if messages})


def _is_visible(actor: Actor, product: Product) -> bool:
    return product.status == PRODUCT_STATUS_ACTIVE or "admin" in actor.roles
