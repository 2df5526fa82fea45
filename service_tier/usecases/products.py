"""Reads products: one, several, a page, the best matches of a search.

To all but admins a product that is not active does not exist. What is cached may be older than the
last change for a moment, so nothing is decided by it but who sees it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import product_pb2, product_repository_pb2
from service_tier.domain.faults import refuse_faults
from service_tier.domain.money import price_faults
from service_tier.domain.permissions import is_admin
from service_tier.domain.products import category_faults
from service_tier.repository import Repository
from service_tier.usecases.pages import empty_page
from tier_runtime.batches import Outcome, batch_from_wire, batch_to_wire
from tier_runtime.call import Call
from tier_runtime.errors import AppError, Kind
from tier_runtime.wire import message_fields

MAX_QUERY_LENGTH = 255
MAX_SEARCH_LIMIT = 100

_ACTIVE = product_pb2.PRODUCT_STATUS_ACTIVE


class Products:
    """Reads products."""

    def __init__(self, repository: Repository) -> None:
        self._reads = repository.product_reads

    def get(self, call: Call, product_id: str) -> bytes:
        """Return one product, as the serialized answer of GetProduct.

        Raises:
            AppError: as the contract names them.
        """
        if is_admin(call.actor):
            return self._reads.get(call, product_id)
        try:
            answer: Outcome = self._reads.get(call, product_id)
        except AppError as error:
            answer = error
        shown = _for_everybody(answer, product_id)
        if isinstance(shown, AppError):
            raise shown
        return shown

    def batch_get(self, call: Call, product_ids: Sequence[str]) -> bytes:
        """Return several products, each as by `get`, as the serialized answer of BatchGetProducts.

        Raises:
            AppError: as the contract names them for the whole.
        """
        answer = self._reads.batch_get(product_ids)
        if is_admin(call.actor):
            return answer
        found = batch_from_wire(answer, len(product_ids))
        return batch_to_wire(
            _for_everybody(outcome, product_id)
            for outcome, product_id in zip(found, product_ids, strict=True)
        )

    def list(
        self,
        call: Call,
        product_filter: product_repository_pb2.ProductFilter,
        page: paging_pb2.PageRequest,
        sort: product_repository_pb2.ProductSortField.ValueType,
    ) -> bytes:
        """Return one page of products, as the serialized answer of ListProducts.

        Raises:
            AppError: as the contract names them.
        """
        refuse_faults(_filter_faults(product_filter))
        seen = _seen_by(call, product_filter)
        if seen is None:
            nothing = product_repository_pb2.ListProductsResponse(page=empty_page(page))
            return nothing.SerializeToString()
        return self._reads.list(
            product_repository_pb2.ListProductsRequest(filter=seen, page=page, sort=sort)
        )

    def search(
        self,
        call: Call,
        query: str,
        product_filter: product_repository_pb2.ProductFilter,
        limit: int,
    ) -> Iterator[bytes]:
        """Yield the products that match best, serialized, the best first.

        Raises:
            AppError: as the contract names them.
        """
        too_long = len(query) > MAX_QUERY_LENGTH
        refuse_faults(
            {
                "query": [f"Longer than {MAX_QUERY_LENGTH} characters."] if too_long else [],
                "limit": []
                if 0 <= limit <= MAX_SEARCH_LIMIT
                else [f"Must be 1 to {MAX_SEARCH_LIMIT}."],
                **_filter_faults(product_filter),
            }
        )
        seen = _seen_by(call, product_filter)
        if seen is None:
            return
        answer = self._reads.search(
            product_repository_pb2.SearchProductsRequest(query=query, filter=seen, limit=limit)
        )
        for _, product in message_fields(answer):
            yield product


def product_not_found(product_id: str) -> AppError:
    """Return the error of a product that is not there, or not to be seen."""
    return AppError(
        Kind.MISSING, "PRODUCT_NOT_FOUND", "There is no such product.", product_id=product_id
    )


def _for_everybody(outcome: Outcome, product_id: str) -> Outcome:
    """Return what all may know of a read, hidden and missing products being told alike."""
    if isinstance(outcome, AppError):
        return product_not_found(product_id) if outcome.kind is Kind.MISSING else outcome
    product = product_repository_pb2.GetProductResponse.FromString(outcome).product
    return outcome if product.status == _ACTIVE else product_not_found(product_id)


def _seen_by(
    call: Call, product_filter: product_repository_pb2.ProductFilter
) -> product_repository_pb2.ProductFilter | None:
    """Return the filter that finds what the actor may see of what it asks for; None: nothing."""
    if is_admin(call.actor):
        return product_filter
    if product_filter.status not in {_ACTIVE, product_pb2.PRODUCT_STATUS_UNSPECIFIED}:
        return None
    seen = product_repository_pb2.ProductFilter()
    seen.CopyFrom(product_filter)
    seen.status = _ACTIVE
    return seen


def _filter_faults(
    product_filter: product_repository_pb2.ProductFilter,
) -> dict[str, list[str]]:
    return {
        "category": category_faults(product_filter.category),
        "min_price_minor": price_faults(product_filter.min_price_minor),
        "max_price_minor": price_faults(product_filter.max_price_minor),
    }
