"""Reads of single products, those of several requests in one RPC."""

# Method names come from the contract.
# ruff: noqa: N802

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import grpc

from arcana.service.v1 import product_service_pb2 as pb
from arcana.service.v1.product_service_pb2_grpc import ProductServiceStub
from controller_tier.admission import ADMIN
from controller_tier.shared_reads import SharedReads
from controller_tier.stubs import ProductStub
from tier_runtime.call import current_call
from tier_runtime.coalescing import PATIENCE_SECONDS, Wanted
from tier_runtime.wire import serialized_answers

if TYPE_CHECKING:
    from tier_runtime.metrics.parts import ReadsMeter

_SERVICE = "/arcana.service.v1.ProductService"


class CoalescedProducts:
    """Implements ProductStub: reads of single products at the same time share RPCs.

    What a caller sees of a product depends on nothing but being an admin. So the reads of admins
    share RPCs with one another, and those of all others do; each RPC is made in the call of one of
    its own kind.
    """

    def __init__(
        self,
        products: ProductStub,
        get: Callable[[pb.GetProductRequest], bytes],
        batch_get: Callable[[pb.BatchGetProductsRequest], bytes],
        *,
        max_batch: int,
        patience_seconds: float = PATIENCE_SECONDS,
        meter: ReadsMeter | None = None,
    ) -> None:
        def read_one(product_id: str) -> bytes:
            return get(pb.GetProductRequest(product_id=product_id))

        def read_many(wanted: Sequence[Wanted[str]]) -> bytes:
            ids = [one.key for one in wanted]
            return batch_get(pb.BatchGetProductsRequest(product_ids=ids))

        def reads() -> SharedReads[str]:
            return SharedReads(
                read_one,
                read_many,
                max_batch=max_batch,
                patience_seconds=patience_seconds,
                meter=meter,
            )

        self._reads_of_admins, self._reads_of_others = reads(), reads()
        self.ListProducts = products.ListProducts
        self.SearchProducts = products.SearchProducts
        self.CreateProduct = products.CreateProduct
        self.UpdateProduct = products.UpdateProduct
        self.UpdateStock = products.UpdateStock
        self.BatchUpdateStock = products.BatchUpdateStock
        self.ListStockMovements = products.ListStockMovements
        self.DeleteProduct = products.DeleteProduct

    @classmethod
    def over(
        cls, channel: grpc.Channel, *, max_batch: int, meter: ReadsMeter | None = None
    ) -> CoalescedProducts:
        """Return the stub over a channel of `open_channel`, which stays the caller's."""
        return cls(
            ProductServiceStub(channel),
            serialized_answers(channel, f"{_SERVICE}/GetProduct", pb.GetProductRequest),
            serialized_answers(channel, f"{_SERVICE}/BatchGetProducts", pb.BatchGetProductsRequest),
            max_batch=max_batch,
            meter=meter,
        )

    def GetProduct(self, request: pb.GetProductRequest) -> pb.GetProductResponse:
        """Read one product, as far as the current call's actor may see it."""
        call = current_call()
        is_admin = call is not None and ADMIN in call.actor.roles
        reads = self._reads_of_admins if is_admin else self._reads_of_others
        return pb.GetProductResponse.FromString(reads.read(request.product_id))
