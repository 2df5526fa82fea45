"""Products and their stock to documents, and loaded fields to requests about them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from arcana.service.v1 import product_service_pb2 as pb
from arcana.service.v1.product_pb2 import (
    PRODUCT_STATUS_ACTIVE,
    PRODUCT_STATUS_ARCHIVED,
    PRODUCT_STATUS_DRAFT,
    PRODUCT_STATUS_INACTIVE,
    PRODUCT_STATUS_UNSPECIFIED,
    Product,
    ProductStatus,
    StockMovement,
)
from controller_tier.conversion.money import amount_text
from controller_tier.conversion.paging import page_request
from controller_tier.conversion.times import rfc3339
from controller_tier.operations import Fields

DEFAULT_CURRENCY = "USD"

STATUSES: Mapping[str, ProductStatus.ValueType] = MappingProxyType(
    {
        "draft": PRODUCT_STATUS_DRAFT,
        "active": PRODUCT_STATUS_ACTIVE,
        "inactive": PRODUCT_STATUS_INACTIVE,
        "archived": PRODUCT_STATUS_ARCHIVED,
    }
)
SORT_FIELDS: Mapping[str, pb.ProductSortField.ValueType] = MappingProxyType(
    {
        "created_at": pb.PRODUCT_SORT_FIELD_CREATED_TIME,
        "updated_at": pb.PRODUCT_SORT_FIELD_UPDATED_TIME,
        "name": pb.PRODUCT_SORT_FIELD_NAME,
        "price": pb.PRODUCT_SORT_FIELD_PRICE,
    }
)
_STATUS_NAMES = {number: name for name, number in STATUSES.items()}


def product_document(product: Product) -> dict[str, Any]:
    """Return a product as consumers see it; what is not told is null."""
    return {
        "id": product.id,
        "name": product.name,
        "description": product.description or None,
        "price": amount_text(product.price_minor),
        "currency": product.currency_code,
        "stock": product.stock,
        "low_stock_threshold": product.low_stock_threshold,
        "category": product.category or None,
        "status": _STATUS_NAMES[product.status],
        "created_at": rfc3339(product.created_time),
        "updated_at": rfc3339(product.updated_time),
    }


def movement_document(movement: StockMovement) -> dict[str, Any]:
    """Return one line of a ledger as consumers see it."""
    return {
        "id": movement.id,
        "quantity_change": movement.quantity_change,
        "reason": movement.reason or None,
        "order_id": movement.order_id or None,
        "created_at": rfc3339(movement.created_time),
    }


def stock_changes_document(done: pb.BatchUpdateStockResponse) -> dict[str, Any]:
    """Return how several changes of stock went."""
    return {
        "success_count": done.success_count,
        "failure_count": done.failure_count,
        "errors": [
            {
                "index": error.index,
                "product_id": error.product_id,
                "code": error.code,
                "message": error.message,
            }
            for error in done.errors
        ],
    }


def list_products_request(query: Fields) -> pb.ListProductsRequest:
    """Return the request for one page of products."""
    return pb.ListProductsRequest(
        filter=_filter(query), page=page_request(query), sort=SORT_FIELDS[query["sort"]]
    )


def search_products_request(query: Fields) -> pb.SearchProductsRequest:
    """Return the request for the products that match some words."""
    return pb.SearchProductsRequest(query=query["q"], filter=_filter(query), limit=query["limit"])


def create_product_request(body: Fields, idempotency_key: str) -> pb.CreateProductRequest:
    """Return the request for a new product."""
    return pb.CreateProductRequest(
        request_id=idempotency_key,
        name=body["name"],
        description=body.get("description") or "",
        price_minor=body["price"],
        currency_code=body.get("currency", ""),
        stock=body.get("stock", 0),
        low_stock_threshold=body.get("low_stock_threshold") or 0,
        category=body.get("category") or "",
        status=_status(body),
    )


def replace_product_request(
    product_id: str, expected_version: int, body: Fields
) -> pb.UpdateProductRequest:
    """Return the request that makes of a product what a new one of this body would be."""
    return pb.UpdateProductRequest(
        product_id=product_id,
        expected_version=expected_version,
        name=body["name"],
        description=body.get("description") or "",
        price_minor=body["price"],
        currency_code=body.get("currency", DEFAULT_CURRENCY),
        low_stock_threshold=body.get("low_stock_threshold") or 0,
        category=body.get("category") or "",
        status=_status(body) or PRODUCT_STATUS_DRAFT,
    )


def update_product_request(
    product_id: str, expected_version: int, body: Fields
) -> pb.UpdateProductRequest:
    """Return the request that changes the given members of a product; null clears one."""

    def cleared(name: str, nothing: Any) -> Any:
        # Absent, it is None to protobuf as well: it stays.
        return (body[name] or nothing) if name in body else None

    return pb.UpdateProductRequest(
        product_id=product_id,
        expected_version=expected_version,
        name=body.get("name"),
        description=cleared("description", ""),
        price_minor=body.get("price"),
        currency_code=body.get("currency"),
        low_stock_threshold=cleared("low_stock_threshold", 0),
        category=cleared("category", ""),
        status=_status(body),
    )


def update_stock_request(
    product_id: str, expected_version: int, body: Fields, idempotency_key: str
) -> pb.UpdateStockRequest:
    """Return the request for more or fewer units of a product."""
    return pb.UpdateStockRequest(
        request_id=idempotency_key,
        product_id=product_id,
        expected_version=expected_version,
        quantity_change=body["quantity_change"],
        reason=body.get("reason") or "",
    )


def stock_change_requests(
    body: Fields, idempotency_key: str
) -> Iterator[pb.BatchUpdateStockRequest]:
    """Return the changes of a body as the messages of one stream.

    The first one tells of all of them, so that the key is bound to the whole body, and a stream
    that breaks off is not taken for the whole.
    """
    requests = [
        pb.BatchUpdateStockRequest(
            product_id=change["product_id"],
            quantity_change=change["quantity_change"],
            reason=change.get("reason") or "",
        )
        for change in body["changes"]
    ]
    first = requests[0]
    first.changes_sha256 = _digest(requests)
    first.change_count = len(requests)
    first.request_id = idempotency_key
    return iter(requests)


def _filter(query: Fields) -> pb.ProductFilter:
    return pb.ProductFilter(
        status=_status(query),
        category=query.get("category", ""),
        min_price_minor=query.get("min_price"),
        max_price_minor=query.get("max_price"),
        in_stock=query.get("in_stock"),
    )


def _digest(requests: Sequence[pb.BatchUpdateStockRequest]) -> bytes:
    digest = hashlib.sha256()
    for request in requests:
        message = request.SerializeToString(deterministic=True)
        # With their lengths, no two bodies are the same bytes.
        digest.update(len(message).to_bytes(4))
        digest.update(message)
    return digest.digest()


def _status(given: Fields) -> ProductStatus.ValueType:
    status = given.get("status")
    return STATUSES[status] if status else PRODUCT_STATUS_UNSPECIFIED
