"""Products as they are read, by id and in lists."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import MappingProxyType

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import product_pb2, product_repository_pb2
from repository_tier.cached_reads import CachedKind, CachedReads
from repository_tier.conversion import sort_of
from repository_tier.paging import Order, Page, walked
from repository_tier.product_filters import ProductFilter, filtered, fixed_columns
from repository_tier.product_rows import PRODUCT_COLUMNS, product_from_row, product_not_found
from repository_tier.tables import products
from tier_runtime.batches import Outcome
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError

PRODUCTS = CachedKind(products, PRODUCT_COLUMNS, product_from_row, product_not_found)

_SORTS = MappingProxyType(
    {
        product_repository_pb2.PRODUCT_SORT_FIELD_UNSPECIFIED: (products.c.created_time, datetime),
        product_repository_pb2.PRODUCT_SORT_FIELD_CREATED_TIME: (products.c.created_time, datetime),
        product_repository_pb2.PRODUCT_SORT_FIELD_UPDATED_TIME: (products.c.updated_time, datetime),
        product_repository_pb2.PRODUCT_SORT_FIELD_NAME: (products.c.name_key, str),
        product_repository_pb2.PRODUCT_SORT_FIELD_PRICE: (products.c.price_minor, int),
    }
)


def product_order_from_proto(
    sort: product_repository_pb2.ProductSortField.ValueType, *, descending: bool
) -> Order:
    """Check a sort field.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    column, key_type = sort_of(_SORTS, sort)
    return Order(column, products.c.id, key_type, descending)


class ProductDirectory:
    """Reads products."""

    def __init__(self, reads: CachedReads[product_pb2.Product]) -> None:
        self._reads = reads

    def get(self, product_id: str, deadline: Deadline) -> bytes:
        """Return the serialized answer of GetProduct, from the cache where it can.

        Raises:
            AppError: MISSING/PRODUCT_NOT_FOUND.
        """
        return self._reads.get(product_id, deadline)

    def get_many(
        self, wanted: Sequence[str | AppError], deadline: Deadline, *, fresh: bool
    ) -> Sequence[Outcome]:
        """Return for each product what `get` returns or raises; an error stays what it is.

        `fresh` ones are never from the cache.

        Raises:
            AppError: the database cannot be read, and none of the products is in the cache.
        """
        return self._reads.get_many(wanted, deadline, fresh=fresh)

    def list(
        self, wanted: ProductFilter, order: Order, page: Page, deadline: Deadline
    ) -> tuple[Sequence[bytes], paging_pb2.PageResult]:
        """Return one page of products as serialized messages, each as it is now.

        Raises:
            AppError: INVALID/VALIDATION_FAILED, for a cursor of another list.
        """
        # Few may be in a range of prices, or sold out: which index is the better one is then for
        # the database to judge. A range of what the list is sorted by is a part of its index.
        is_part = order.column is products.c.price_minor and wanted.in_stock is not False
        if is_part or not wanted.may_be_rare():
            order = walked(order, fixed_columns(wanted))
        return self._reads.list(
            lambda rows: filtered(rows, wanted), wanted.digest, order, page, deadline
        )
