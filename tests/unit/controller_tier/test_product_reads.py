from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from arcana.service.v1 import product_service_pb2 as pb
from arcana.service.v1.product_pb2 import PRODUCT_STATUS_DRAFT, Product
from controller_tier.product_reads import CoalescedProducts
from controller_tier.stubs import ProductStub
from tests.fakes.service import FakeProducts
from tests.unit.controller_tier.readers import (
    ADMIN,
    ANYBODY,
    STRANGER,
    WAIT_SECONDS,
    Readers,
    wait_until_gathered,
)
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

OTHER_ADMIN = Actor("019aa000-0000-7000-8000-00000000000c", frozenset({"admin"}))


class ProductReaders(Readers):
    """Coalesced reads of products."""

    def __init__(self) -> None:
        super().__init__()
        fake = FakeProducts(self.tier)
        self.products = CoalescedProducts(
            fake,
            lambda request: fake.GetProduct(request).SerializeToString(),
            lambda request: fake.BatchGetProducts(request).SerializeToString(),
            max_batch=64,
            # Nobody is so slow here that a second RPC would leave beside the first.
            patience_seconds=3600,
        )

    def read(self, actor: Actor, product_id: str) -> Future[Product]:
        request = pb.GetProductRequest(product_id=product_id)
        return self.start(actor, "r", lambda: self.products.GetProduct(request).product)


@pytest.fixture
def readers() -> Iterator[ProductReaders]:
    made = ProductReaders()
    yield made
    made.close()


def _code(read: Future[Product]) -> tuple[Kind, str]:
    with pytest.raises(AppError) as raised:
        read.result(WAIT_SECONDS)
    return raised.value.kind, raised.value.code


def test_a_lone_read_is_the_single_rpc_in_its_own_call(readers: ProductReaders) -> None:
    gear = readers.tier.add_product()
    readers.answer()
    assert readers.read(STRANGER, gear.id).result(WAIT_SECONDS) == gear
    (received,) = readers.tier.received
    assert received.method == "GetProduct"
    assert received.call is not None
    assert received.call.actor == STRANGER


def test_all_but_admins_share_an_rpc_and_each_has_its_own_error(readers: ProductReaders) -> None:
    gear, cog = readers.tier.add_product(), readers.tier.add_product("Cog")
    draft = readers.tier.add_product(status=PRODUCT_STATUS_DRAFT)
    first = readers.read(ANYBODY, gear.id)
    readers.wait_until_asked(1)
    wanted = ((STRANGER, cog.id), (ANYBODY, draft.id), (ANYBODY, cog.id), (STRANGER, gear.id))
    others = []
    for number, (actor, product_id) in enumerate(wanted, 1):
        others.append(readers.read(actor, product_id))
        wait_until_gathered(readers.products._reads_of_others, number)
    readers.answer(2)
    assert first.result(WAIT_SECONDS) == gear
    assert _code(others.pop(1)) == (Kind.MISSING, "PRODUCT_NOT_FOUND")
    assert [one.result(WAIT_SECONDS) for one in others] == [cog, cog, gear]
    assert readers.tier.methods() == ["GetProduct", "BatchGetProducts"]
    batch = readers.tier.last("BatchGetProducts")
    assert list(batch.request.product_ids) == [cog.id, draft.id, gear.id]
    assert batch.call is not None
    assert "admin" not in batch.call.actor.roles


def test_nobody_shares_an_rpc_with_an_admin(readers: ProductReaders) -> None:
    draft = readers.tier.add_product(status=PRODUCT_STATUS_DRAFT)
    reads = [readers.read(ADMIN, draft.id), readers.read(STRANGER, draft.id)]
    readers.wait_until_asked(2)
    # Both of their kinds are out: those who come now gather, each with their own kind.
    admins = readers.read(OTHER_ADMIN, draft.id)
    wait_until_gathered(readers.products._reads_of_admins, 1)
    anybodys = readers.read(ANYBODY, draft.id)
    wait_until_gathered(readers.products._reads_of_others, 1)
    readers.answer(4)
    assert reads[0].result(WAIT_SECONDS) == admins.result(WAIT_SECONDS) == draft
    missing = (Kind.MISSING, "PRODUCT_NOT_FOUND")
    assert _code(reads[1]) == _code(anybodys) == missing
    actors = [each.call.actor for each in readers.tier.received if each.call is not None]
    assert set(actors) == {ADMIN, STRANGER, OTHER_ADMIN, ANYBODY}


def test_outside_of_a_call_a_read_goes_alone_and_is_nobodys(readers: ProductReaders) -> None:
    draft = readers.tier.add_product(status=PRODUCT_STATUS_DRAFT)
    readers.answer()
    with pytest.raises(AppError) as raised:
        readers.products.GetProduct(pb.GetProductRequest(product_id=draft.id))
    assert raised.value.code == "PRODUCT_NOT_FOUND"


def test_all_other_methods_are_passed_through(readers: ProductReaders) -> None:
    gear = readers.tier.add_product()
    products: ProductStub = readers.products
    change = pb.BatchUpdateStockRequest(product_id=gear.id, quantity_change=1)
    with call_scope(Call(ADMIN, "r-1", Deadline.after(WAIT_SECONDS))):
        readers.answer(16)
        products.ListProducts(pb.ListProductsRequest())
        assert [each.product for each in products.SearchProducts(pb.SearchProductsRequest())]
        products.CreateProduct(pb.CreateProductRequest(name="Cog"))
        products.UpdateProduct(pb.UpdateProductRequest(product_id=gear.id, name="Cog"))
        products.UpdateStock(pb.UpdateStockRequest(product_id=gear.id, quantity_change=1))
        assert products.BatchUpdateStock(iter([change])).success_count == 1
        products.ListStockMovements(pb.ListStockMovementsRequest(product_id=gear.id))
        products.DeleteProduct(pb.DeleteProductRequest(product_id=gear.id))
    assert readers.tier.methods() == [
        "ListProducts",
        "SearchProducts",
        "CreateProduct",
        "UpdateProduct",
        "UpdateStock",
        "BatchUpdateStock",
        "ListStockMovements",
        "DeleteProduct",
    ]
