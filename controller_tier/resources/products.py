"""Products and their stock: the rows below /products."""

from __future__ import annotations

from flask import Response

from arcana.service.v1 import product_service_pb2 as pb
from controller_tier.conditional import expected_version
from controller_tier.conversion.paging import page_document, page_request
from controller_tier.conversion.products import (
    create_product_request,
    list_products_request,
    movement_document,
    product_document,
    replace_product_request,
    search_products_request,
    stock_change_requests,
    stock_changes_document,
    update_product_request,
    update_stock_request,
)
from controller_tier.documents import (
    conditional_answer,
    created_answer,
    empty_answer,
    json_answer,
    replayed_answer,
    versioned_answer,
)
from controller_tier.idempotency import idempotency_key
from controller_tier.operations import Fields
from controller_tier.stubs import ProductStub


class ProductViews:
    """The views of products and their stock."""

    def __init__(self, products: ProductStub, *, require_if_match: bool) -> None:
        self._products = products
        self._require_if_match = require_if_match

    def list_products(self, query: Fields) -> Response:
        """Show one page of products."""
        found = self._products.ListProducts(list_products_request(query))
        items = [product_document(product) for product in found.products]
        return json_answer(page_document(items, found.page, query))

    def search_products(self, query: Fields) -> Response:
        """Show the products that match best."""
        found = self._products.SearchProducts(search_products_request(query))
        return json_answer({"data": [product_document(match.product) for match in found]})

    def get_product(self, product_id: str) -> Response:
        """Show a product."""
        found = self._products.GetProduct(pb.GetProductRequest(product_id=product_id))
        return conditional_answer(product_document(found.product), found.product.version)

    def create_product(self, body: Fields) -> Response:
        """Make a product."""
        made = self._products.CreateProduct(create_product_request(body, idempotency_key()))
        return created_answer(
            product_document(made.product),
            made.product.version,
            f"/api/v1/products/{made.product.id}",
            replayed=made.replayed,
        )

    def replace_product(self, product_id: str, body: Fields) -> Response:
        """Set all members of a product; what is not given is as in a new one."""
        version = self._expected_version(product_id)
        return self._updated(replace_product_request(product_id, version, body))

    def update_product(self, product_id: str, body: Fields) -> Response:
        """Change the given members of a product."""
        version = self._expected_version(product_id)
        return self._updated(update_product_request(product_id, version, body))

    def delete_product(self, product_id: str) -> Response:
        """Archive a product."""
        self._products.DeleteProduct(
            pb.DeleteProductRequest(
                product_id=product_id, expected_version=self._expected_version(product_id)
            )
        )
        return empty_answer()

    def update_stock(self, product_id: str, body: Fields) -> Response:
        """Add units of a product, or take some out."""
        version = self._expected_version(product_id)
        changed = self._products.UpdateStock(
            update_stock_request(product_id, version, body, idempotency_key())
        )
        answer = versioned_answer(product_document(changed.product), changed.product.version)
        return replayed_answer(answer, replayed=changed.replayed)

    def update_stocks(self, body: Fields) -> Response:
        """Change the stock of several products, each by itself."""
        done = self._products.BatchUpdateStock(stock_change_requests(body, idempotency_key()))
        answer = json_answer(stock_changes_document(done))
        return replayed_answer(answer, replayed=done.replayed)

    def list_movements(self, product_id: str, query: Fields) -> Response:
        """Show one page of a product's ledger."""
        found = self._products.ListStockMovements(
            pb.ListStockMovementsRequest(product_id=product_id, page=page_request(query))
        )
        items = [movement_document(movement) for movement in found.movements]
        return json_answer(page_document(items, found.page, query))

    def _updated(self, request: pb.UpdateProductRequest) -> Response:
        changed = self._products.UpdateProduct(request)
        return versioned_answer(product_document(changed.product), changed.product.version)

    def _expected_version(self, product_id: str) -> int:
        """Return what If-Match asks for, 0 for any version."""
        request = pb.GetProductRequest(product_id=product_id)
        version = expected_version(
            lambda: self._products.GetProduct(request).product.version,
            required=self._require_if_match,
        )
        return version or 0
