"""Products, their stock, and what is asked about them.

Messages of the same name have the same fields on both boundaries, which a contract test holds, so
they cross by their bytes: it is several times faster than field by field, and forgets no field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import MappingProxyType

from arcana.repository.v1 import product_pb2 as kept_product_pb2
from arcana.repository.v1 import product_repository_pb2
from arcana.service.v1 import product_pb2, product_service_pb2
from service_tier.domain.money import DEFAULT_CURRENCY
from service_tier.domain.names import normalize_name
from service_tier.domain.products import ProductDetails, StockChange
from service_tier.usecases.product_changes import ProductChange
from service_tier.usecases.stock import BatchResult, SentChange, StreamHead
from tier_runtime.validation import invalid

_STATUSES = MappingProxyType(
    {
        product_pb2.PRODUCT_STATUS_DRAFT: kept_product_pb2.PRODUCT_STATUS_DRAFT,
        product_pb2.PRODUCT_STATUS_ACTIVE: kept_product_pb2.PRODUCT_STATUS_ACTIVE,
        product_pb2.PRODUCT_STATUS_INACTIVE: kept_product_pb2.PRODUCT_STATUS_INACTIVE,
        product_pb2.PRODUCT_STATUS_ARCHIVED: kept_product_pb2.PRODUCT_STATUS_ARCHIVED,
    }
)
_SORT_FIELDS = MappingProxyType(
    {
        product_service_pb2.PRODUCT_SORT_FIELD_UNSPECIFIED: (
            product_repository_pb2.PRODUCT_SORT_FIELD_CREATED_TIME
        ),
        product_service_pb2.PRODUCT_SORT_FIELD_CREATED_TIME: (
            product_repository_pb2.PRODUCT_SORT_FIELD_CREATED_TIME
        ),
        product_service_pb2.PRODUCT_SORT_FIELD_UPDATED_TIME: (
            product_repository_pb2.PRODUCT_SORT_FIELD_UPDATED_TIME
        ),
        product_service_pb2.PRODUCT_SORT_FIELD_NAME: (
            product_repository_pb2.PRODUCT_SORT_FIELD_NAME
        ),
        product_service_pb2.PRODUCT_SORT_FIELD_PRICE: (
            product_repository_pb2.PRODUCT_SORT_FIELD_PRICE
        ),
    }
)


def product_to_proto(product: kept_product_pb2.Product) -> product_pb2.Product:
    """Return a product as this tier's contract has it."""
    return product_pb2.Product.FromString(product.SerializeToString())


def creation_from_proto(request: product_service_pb2.CreateProductRequest) -> ProductChange:
    """Return all that is told of a new product.

    Raises:
        AppError: INVALID/VALIDATION_FAILED for a number that is no status.
    """
    details = ProductDetails.normalized(
        name=request.name,
        description=request.description,
        price_minor=request.price_minor,
        currency_code=request.currency_code or DEFAULT_CURRENCY,
        low_stock_threshold=request.low_stock_threshold,
        category=request.category,
    )
    return ProductChange(details, _status(request.status or product_pb2.PRODUCT_STATUS_DRAFT))


def change_from_proto(request: product_service_pb2.UpdateProductRequest) -> ProductChange:
    """Return what is to change of a product.

    Raises:
        AppError: INVALID/VALIDATION_FAILED for a number that is no status.
    """
    has = request.HasField
    details = ProductDetails.normalized(
        name=request.name if has("name") else None,
        description=request.description if has("description") else None,
        price_minor=request.price_minor if has("price_minor") else None,
        currency_code=request.currency_code if has("currency_code") else None,
        low_stock_threshold=request.low_stock_threshold if has("low_stock_threshold") else None,
        category=request.category if has("category") else None,
    )
    return (
        ProductChange(details, _status(request.status))
        if request.status
        else ProductChange(details)
    )


def filter_from_proto(
    product_filter: product_service_pb2.ProductFilter,
) -> product_repository_pb2.ProductFilter:
    """Return a filter as the repository tier has it.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, when its status is a number that is none.
    """
    if product_filter.status:
        _status(product_filter.status)
    kept = product_repository_pb2.ProductFilter.FromString(product_filter.SerializeToString())
    # Compared exactly, so in the form in which products have it.
    kept.category = normalize_name(kept.category)
    return kept


def sort_from_proto(
    sort: product_service_pb2.ProductSortField.ValueType,
) -> product_repository_pb2.ProductSortField.ValueType:
    """Return a sort field as the repository tier has it.

    Raises:
        AppError: INVALID/VALIDATION_FAILED for a number that is no sort field.
    """
    if sort not in _SORT_FIELDS:
        raise invalid({"sort": ["Not a field to sort by."]})
    return _SORT_FIELDS[sort]


def stock_change_from_proto(
    request: product_service_pb2.UpdateStockRequest | product_service_pb2.BatchUpdateStockRequest,
) -> StockChange:
    """Return a change of stock."""
    return StockChange.normalized(request.product_id, request.quantity_change, request.reason)


def sent_changes_from_proto(
    requests: Iterable[product_service_pb2.BatchUpdateStockRequest],
) -> Iterator[SentChange]:
    """Yield the changes of a stream as they come."""
    for request in requests:
        head = StreamHead(request.request_id, request.change_count, request.changes_sha256)
        yield SentChange(head, stock_change_from_proto(request))


def batch_result_to_proto(result: BatchResult) -> product_service_pb2.BatchUpdateStockResponse:
    """Return how the changes of a stream went."""
    return product_service_pb2.BatchUpdateStockResponse(
        success_count=result.success_count,
        failure_count=result.failure_count,
        errors=[
            product_service_pb2.StockChangeError(
                index=refusal.index,
                product_id=refusal.product_id,
                code=refusal.code,
                message=refusal.message,
            )
            for refusal in result.refusals
        ],
        replayed=result.replayed,
    )


def _status(
    status: product_pb2.ProductStatus.ValueType,
) -> kept_product_pb2.ProductStatus.ValueType:
    if status not in _STATUSES:
        raise invalid({"status": ["Not a status."]})
    return _STATUSES[status]
