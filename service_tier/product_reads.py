"""Reads of products from the repository tier; see `coalesced_reads`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import grpc

from arcana.repository.v1 import product_repository_pb2 as pb
from service_tier.coalesced_reads import DEFAULT_MAX_BATCH, CoalescedReads
from tier_runtime.call import Call
from tier_runtime.coalescing import PATIENCE_SECONDS
from tier_runtime.wire import serialized_answers

if TYPE_CHECKING:
    from tier_runtime.metrics.parts import ReadsMeter

_PRODUCTS = "/arcana.repository.v1.ProductRepository"


class ProductReads:
    """Reads products over a channel of `open_channel`. All methods raise AppError."""

    def __init__(
        self,
        channel: grpc.Channel,
        *,
        max_batch: int = DEFAULT_MAX_BATCH,
        patience_seconds: float = PATIENCE_SECONDS,
        meter: ReadsMeter | None = None,
    ) -> None:
        get = serialized_answers(channel, f"{_PRODUCTS}/GetProduct", pb.GetProductRequest)
        self._batch_get = serialized_answers(
            channel, f"{_PRODUCTS}/BatchGetProducts", pb.BatchGetProductsRequest
        )
        self._list = serialized_answers(
            channel, f"{_PRODUCTS}/ListProducts", pb.ListProductsRequest
        )
        self._search = serialized_answers(
            channel, f"{_PRODUCTS}/SearchProducts", pb.SearchProductsRequest
        )
        self._list_movements = serialized_answers(
            channel, f"{_PRODUCTS}/ListStockMovements", pb.ListStockMovementsRequest
        )
        self._single = CoalescedReads(
            lambda product_id: get(pb.GetProductRequest(product_id=product_id)),
            self.batch_get,
            max_batch=max_batch,
            patience_seconds=patience_seconds,
            meter=meter,
        )

    def get(self, call: Call, product_id: str) -> bytes:
        """Return the answer of GetProduct; reads of several calls at the same time share an RPC."""
        return self._single.get(call, product_id)

    def batch_get(self, product_ids: Sequence[str], request_ids: Sequence[str] = ()) -> bytes:
        """Return the answer of BatchGetProducts."""
        return self._batch_get(
            pb.BatchGetProductsRequest(product_ids=product_ids, request_ids=request_ids)
        )

    def list(self, request: pb.ListProductsRequest) -> bytes:
        """Return the answer of ListProducts."""
        return self._list(request)

    def search(self, request: pb.SearchProductsRequest) -> bytes:
        """Return the answer of SearchProducts."""
        return self._search(request)

    def list_movements(self, request: pb.ListStockMovementsRequest) -> bytes:
        """Return the answer of ListStockMovements."""
        return self._list_movements(request)
