"""What is sold and stored, from the service tier down, over real gRPC, on real stores."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from arcana.service.v1 import order_pb2, product_pb2
from arcana.service.v1 import order_service_pb2 as orders_pb
from arcana.service.v1 import product_service_pb2 as pb
from service_tier.settings import ServiceSettings
from service_tier.usecases.stock import GROUP_SIZE
from tests.tier.service.running import SYSTEM, RunningService
from tier_runtime.call import Actor
from tier_runtime.errors import AppError

ACTIVE = product_pb2.PRODUCT_STATUS_ACTIVE
ADA = Actor("019aa000-0000-7000-8000-00000000000c", frozenset({"user"}))
WAIT_SECONDS = 20.0


def make(service: RunningService, name: str = "Lamp", **fields: Any) -> product_pb2.Product:
    told = {"price_minor": 1999, "stock": 100, "status": ACTIVE, **fields}
    with service.acting(SYSTEM):
        return service.products.CreateProduct(pb.CreateProductRequest(name=name, **told)).product


def read(service: RunningService, product_id: str, actor: Actor = SYSTEM) -> product_pb2.Product:
    with service.acting(actor):
        return service.products.GetProduct(pb.GetProductRequest(product_id=product_id)).product


def ledger_sum(service: RunningService, product_id: str) -> int:
    request = pb.ListStockMovementsRequest(product_id=product_id)
    request.page.page_size = 100
    total = 0
    with service.acting(SYSTEM):
        while True:
            answer = service.products.ListStockMovements(request)
            total += sum(movement.quantity_change for movement in answer.movements)
            if not answer.page.next_cursor:
                return total
            request.page.cursor = answer.page.next_cursor


def place(
    service: RunningService, *lines: tuple[str, int], key: str = "", actor: Actor = ADA
) -> orders_pb.PlaceOrderResponse:
    items = [orders_pb.OrderLine(product_id=one, quantity=units) for one, units in lines]
    with service.acting(actor):
        return service.orders.PlaceOrder(orders_pb.PlaceOrderRequest(request_id=key, items=items))


def test_what_is_for_sale_is_found_ordered_and_given_back(service: RunningService) -> None:
    lamp = make(service, "Red lamp", category="light")
    draft = make(service, "Red draft", status=product_pb2.PRODUCT_STATUS_DRAFT)
    with service.acting(Actor()):
        found = [
            one.product
            for one in service.products.SearchProducts(pb.SearchProductsRequest(query="red"))
        ]
        listed = service.products.ListProducts(pb.ListProductsRequest())
        batch = service.products.BatchGetProducts(
            pb.BatchGetProductsRequest(product_ids=[lamp.id, draft.id])
        )
    # Passed on in bytes, they are what the contract says.
    assert found == list(listed.products) == [lamp]
    assert batch.results[0].product == lamp
    assert batch.results[1].HasField("error")
    order = place(service, (lamp.id, 10), (lamp.id, 1)).order
    assert (order.pricing, order.total_minor) == (order_pb2.PRICING_BULK, 19_990 - 1999 + 1999)
    with service.acting(ADA):
        assert service.orders.GetOrder(orders_pb.GetOrderRequest(order_id=order.id)).order == order
        assert list(service.orders.ListOrders(orders_pb.ListOrdersRequest()).orders) == [order]
    with pytest.raises(AppError) as refused:
        place(service, (lamp.id, 60), (lamp.id, 60))
    assert refused.value.code == "INSUFFICIENT_STOCK"
    assert set(refused.value.field_errors) == {"items.0.quantity", "items.1.quantity"}
    with service.acting(ADA):
        service.orders.CancelOrder(orders_pb.CancelOrderRequest(order_id=order.id))
    assert read(service, lamp.id).stock == ledger_sum(service, lamp.id) == 100


def test_a_hidden_product_looks_like_none_at_all(service: RunningService) -> None:
    draft = make(service, status=product_pb2.PRODUCT_STATUS_DRAFT)
    told = []
    for product_id in (draft.id, "019aa000-0000-7000-8000-000000000001"):
        with pytest.raises(AppError) as refused:
            read(service, product_id, ADA)
        told.append((str(refused.value), {**refused.value.metadata, "product_id": ""}))
    assert told[0] == told[1]


def test_a_long_stream_of_changes_is_made_once(service: RunningService) -> None:
    lamp = make(service, stock=0)
    count = 2 * GROUP_SIZE + 50

    def sent() -> Iterator[pb.BatchUpdateStockRequest]:
        for number in range(count):
            units = -(10**6) if number % 100 == 99 else 1
            yield pb.BatchUpdateStockRequest(
                request_id="key-1", product_id=lamp.id, quantity_change=units
            )

    with service.acting(SYSTEM):
        first = service.products.BatchUpdateStock(sent())
        again = service.products.BatchUpdateStock(sent())
    assert (first.success_count, first.failure_count) == (count - 2, 2)
    assert [(error.index, error.code) for error in first.errors] == [
        (99, "INSUFFICIENT_STOCK"),
        (199, "INSUFFICIENT_STOCK"),
    ]
    assert again.replayed
    again.replayed = False
    assert again == first
    assert read(service, lamp.id).stock == ledger_sum(service, lamp.id) == count - 2


def test_the_same_key_many_times_at_once_is_one_order(service: RunningService) -> None:
    lamp = make(service)
    together = threading.Barrier(10)

    def order(_: int) -> orders_pb.PlaceOrderResponse:
        together.wait(WAIT_SECONDS)
        while True:
            try:
                return place(service, (lamp.id, 1), key="key-1")
            except AppError as error:
                # One that waits too long for the first one is told to come back.
                if error.code != "IDEMPOTENCY_IN_PROGRESS":
                    raise

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(order, range(10)))
    assert sum(not answer.replayed for answer in answers) == 1
    assert len({answer.order.SerializeToString() for answer in answers}) == 1
    assert read(service, lamp.id).stock == ledger_sum(service, lamp.id) == 99


def test_orders_and_price_changes_at_once_sell_at_prices_that_there_were(
    service: RunningService,
) -> None:
    lamp = make(service, price_minor=100, stock=1000)
    priced = {100}
    ended = threading.Event()

    def change(seed: int) -> None:
        price = seed
        while not ended.is_set():
            price += 2
            request = pb.UpdateProductRequest(product_id=lamp.id, price_minor=price)
            with service.acting(SYSTEM):
                priced.add(service.products.UpdateProduct(request).product.price_minor)

    def order(_: int) -> order_pb2.Order | None:
        try:
            return place(service, (lamp.id, 1)).order
        except AppError as error:
            # Prices may change faster than it can be placed, and then nothing is sold.
            if error.code != "SERVICE_UNAVAILABLE":
                raise
            return None

    with ThreadPoolExecutor(6) as pool:
        changers = [pool.submit(change, seed) for seed in (1000, 2001)]
        orders = list(pool.map(order, range(40)))
        ended.set()
        assert [one.result(WAIT_SECONDS) for one in changers] == [None, None]
    # However fast the prices changed, one is sold when they stand still.
    last = order(0)
    assert last is not None
    sold = [*(one for one in orders if one is not None), last]
    assert {one.items[0].unit_price_minor for one in sold} <= priced
    assert read(service, lamp.id).stock == ledger_sum(service, lamp.id) == 1000 - len(sold)


def test_each_of_many_readers_gets_its_own_answer(service: RunningService) -> None:
    made = [make(service, f"Lamp {number}") for number in range(6)]
    draft = make(service, status=product_pb2.PRODUCT_STATUS_DRAFT)
    together = threading.Barrier(12)

    def reader(number: int) -> None:
        together.wait(WAIT_SECONDS)
        for step in range(6):
            product = made[(number + step) % len(made)]
            assert read(service, product.id, (SYSTEM, ADA, Actor())[number % 3]) == product
            assert read(service, draft.id) == draft
            with pytest.raises(AppError, match="PRODUCT_NOT_FOUND"):
                read(service, draft.id, ADA)

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(reader, range(12))) == [None] * 12


def test_more_may_search_at_once_than_streams_may_be_open(service: RunningService) -> None:
    make(service, "Red lamp")
    crowd = 3 * ServiceSettings.model_fields["service_max_streams"].default
    together = threading.Barrier(crowd)

    def found(_number: int) -> int:
        together.wait(WAIT_SECONDS)
        with service.acting(Actor()):
            request = pb.SearchProductsRequest(query="red")
            return len(list(service.products.SearchProducts(request)))

    with ThreadPoolExecutor(crowd) as pool:
        assert list(pool.map(found, range(crowd))) == [1] * crowd
