"""Products and orders through the public gRPC edge: who sees what, and streams of any length."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import grpc
import pytest

from arcana.service.v1 import order_service_pb2 as orders_pb2
from arcana.service.v1 import product_service_pb2 as pb
from arcana.service.v1 import user_service_pb2 as users_pb2
from arcana.service.v1.order_pb2 import ORDER_STATUS_PAID
from arcana.service.v1.order_service_pb2_grpc import OrderServiceStub
from arcana.service.v1.product_pb2 import PRODUCT_STATUS_DRAFT
from arcana.service.v1.product_service_pb2_grpc import ProductServiceStub
from tests.fakes.service import FakeServiceTier
from tests.stores.waiting import eventually
from tests.tier.controller.grpc_edge.edges import (
    SECONDS,
    Metadata,
    PublicEdge,
    bearer,
    error_of,
    public_edge,
)
from tier_runtime.clock import SystemClock

# The time of a request here, and so the longest wait that a stream may cause.
REQUEST_SECONDS = 1.5
PAUSE_SECONDS = 0.1
# The edge cancels what is out of time; where the tier behind it notices first, it says why.
CUT_OFF = {grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}


@pytest.fixture(scope="module")
def edge() -> Iterator[PublicEdge]:
    with public_edge(
        request_timeout_seconds=REQUEST_SECONDS,
        public_grpc_threads=4,
        public_grpc_max_streams=1,
    ) as edge:
        yield edge


@pytest.fixture
def products(edge: PublicEdge) -> ProductServiceStub:
    return ProductServiceStub(edge.channel)


@pytest.fixture
def admin(edge: PublicEdge) -> Metadata:
    return edge.signed_in(f"admin-{edge.tier.new_id()}@example.org", "admin")[1]


def _code(raised: pytest.ExceptionInfo[grpc.RpcError]) -> str:
    return error_of(raised.value).code


def _changes(product_id: str, count: int) -> Iterator[pb.BatchUpdateStockRequest]:
    """Yield so many changes, each of them after a pause."""
    silence = threading.Event()
    for _ in range(count):
        silence.wait(PAUSE_SECONDS)
        yield pb.BatchUpdateStockRequest(product_id=product_id, quantity_change=1)


def _wait_for_a_slot(edge: PublicEdge, products: ProductServiceStub) -> None:
    """Wait until the one stream that there may be has ended: its caller hears of it before."""

    def is_free() -> bool:
        try:
            list(products.SearchProducts(pb.SearchProductsRequest(query="x"), timeout=SECONDS))
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            return False
        return True

    eventually(is_free, SECONDS, "a free slot")


def test_strangers_see_active_products_in_every_way_and_admins_all(
    edge: PublicEdge, products: ProductServiceStub, admin: Metadata
) -> None:
    gear = edge.tier.add_product("Seen gear", category="seen")
    draft = edge.tier.add_product("Seen draft", category="seen", status=PRODUCT_STATUS_DRAFT)
    wanted = pb.ProductFilter(category="seen")

    def seen(metadata: Metadata) -> list[set[str]]:
        batch = products.BatchGetProducts(
            pb.BatchGetProductsRequest(product_ids=[gear.id, draft.id]), metadata=metadata
        )
        page = products.ListProducts(pb.ListProductsRequest(filter=wanted), metadata=metadata)
        search = pb.SearchProductsRequest(query="seen", filter=wanted)
        return [
            {each.product.id for each in batch.results if each.HasField("product")},
            {each.id for each in page.products},
            {each.product.id for each in products.SearchProducts(search, metadata=metadata)},
        ]

    _, ada = edge.signed_in(f"{edge.tier.new_id()}@example.org")
    assert seen(()) == seen(ada) == [{gear.id}] * 3
    assert seen(admin) == [{gear.id, draft.id}] * 3
    with pytest.raises(grpc.RpcError) as raised:
        products.GetProduct(pb.GetProductRequest(product_id=draft.id))
    assert (raised.value.code(), _code(raised)) == (
        grpc.StatusCode.NOT_FOUND,
        "PRODUCT_NOT_FOUND",
    )


def test_where_no_token_is_needed_a_bad_one_is_still_refused(products: ProductServiceStub) -> None:
    for metadata, code in ((bearer("x"), "INVALID_TOKEN"), ((), "")):
        try:
            products.ListProducts(pb.ListProductsRequest(), metadata=metadata)
            found = ""
        except grpc.RpcError as error:
            found = error_of(error).code
        assert found == code


def test_orders_are_placed_and_moved_on_over_grpc(edge: PublicEdge, admin: Metadata) -> None:
    orders = OrderServiceStub(edge.channel)
    gear = edge.tier.add_product(stock=3)
    _, ada = edge.signed_in(f"{edge.tier.new_id()}@example.org")
    line = orders_pb2.OrderLine(product_id=gear.id, quantity=2)
    request = orders_pb2.PlaceOrderRequest(request_id="k", items=[line])
    placed = orders.PlaceOrder(request, metadata=ada)
    again = orders.PlaceOrder(request, metadata=ada)
    assert (again.order, placed.replayed, again.replayed) == (placed.order, False, True)
    with pytest.raises(grpc.RpcError) as raised:
        orders.PlaceOrder(orders_pb2.PlaceOrderRequest(items=[line]), metadata=ada)
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    error = error_of(raised.value)
    assert (error.code, list(error.field_errors)) == ("INSUFFICIENT_STOCK", ["items.0.quantity"])
    paid = orders_pb2.UpdateOrderStatusRequest(order_id=placed.order.id, status=ORDER_STATUS_PAID)
    with pytest.raises(grpc.RpcError) as refused:
        orders.UpdateOrderStatus(paid, metadata=ada)
    assert _code(refused) == "FORBIDDEN"
    assert orders.UpdateOrderStatus(paid, metadata=admin).order.status == ORDER_STATUS_PAID
    with pytest.raises(grpc.RpcError) as unknown:
        orders.ListOrders(orders_pb2.ListOrdersRequest())
    assert _code(unknown) == "UNAUTHENTICATED"


def test_http_and_the_stream_give_the_same_outcome(
    edge: PublicEdge, products: ProductServiceStub, admin: Metadata
) -> None:
    ids = [edge.tier.add_product(stock=1).id for _ in range(2)]
    streamed, posted = [
        [
            (product_id, -1),
            (product_id, -1),
            (edge.tier.new_id(), 1),
            (product_id, 0),
            ("lamp", 1),
            (product_id, 5),
        ]
        for product_id in ids
    ]
    _wait_for_a_slot(edge, products)
    done = products.BatchUpdateStock(
        (pb.BatchUpdateStockRequest(product_id=each, quantity_change=n) for each, n in streamed),
        metadata=admin,
    )
    answer = edge.http.test_client().post(
        "/api/v1/products/stock/batch",
        json={"changes": [{"product_id": each, "quantity_change": n} for each, n in posted]},
        headers={"Authorization": str(admin[0][1])},
    )
    assert answer.json["success_count"] == done.success_count == 2
    assert answer.json["failure_count"] == done.failure_count == 4
    told = [(error["index"], error["code"]) for error in answer.json["errors"]]
    assert told == [(error.index, error.code) for error in done.errors]
    assert [edge.tier.product(each).stock for each in ids] == [5, 5]


def test_a_stream_of_any_length_may_take_longer_than_a_request(
    edge: PublicEdge, products: ProductServiceStub, admin: Metadata
) -> None:
    gear = edge.tier.add_product()
    _wait_for_a_slot(edge, products)
    # Together the pauses are longer than a request may take; each of them is short.
    changes = _changes(gear.id, 20)
    assert products.BatchUpdateStock(changes, metadata=admin).success_count == 20
    assert gear.stock == 20


def test_a_caller_s_shorter_deadline_holds_for_a_stream_too(
    edge: PublicEdge, products: ProductServiceStub, admin: Metadata
) -> None:
    gear = edge.tier.add_product()
    _wait_for_a_slot(edge, products)
    changes = _changes(gear.id, 100)
    with pytest.raises(grpc.RpcError) as raised:
        products.BatchUpdateStock(changes, metadata=admin, timeout=0.5)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_even_a_stream_of_any_length_ends_at_its_own_time() -> None:
    with public_edge(request_timeout_seconds=1, public_grpc_stream_seconds=1.2) as edge:
        gear = edge.tier.add_product()
        _, admin = edge.signed_in("admin@example.org", "admin")
        changes = _changes(gear.id, 100)
        with pytest.raises(grpc.RpcError) as raised:
            ProductServiceStub(edge.channel).BatchUpdateStock(changes, metadata=admin)
        assert raised.value.code() in CUT_OFF
        assert gear.stock < 100


def test_a_stream_that_falls_silent_ends_as_soon_as_any_request_does(
    edge: PublicEdge, products: ProductServiceStub, admin: Metadata
) -> None:
    gear = edge.tier.add_product()
    _wait_for_a_slot(edge, products)
    over = threading.Event()

    def silent() -> Iterator[pb.BatchUpdateStockRequest]:
        yield pb.BatchUpdateStockRequest(product_id=gear.id, quantity_change=1)
        # Long enough, if nobody ended it before, and short beside the time of such a stream.
        over.wait(SECONDS)

    with pytest.raises(grpc.RpcError) as raised:
        products.BatchUpdateStock(silent(), metadata=admin)
    over.set()
    assert raised.value.code() in CUT_OFF
    _wait_for_a_slot(edge, products)


def test_a_search_is_bounded_like_a_request_since_everybody_may_make_one() -> None:
    tier = FakeServiceTier(SystemClock())
    tier.add_product()
    go_on = threading.Event()

    def wait(method: str) -> None:
        if method == "SearchProducts.next":
            go_on.wait(SECONDS)

    tier.before = wait
    with public_edge(tier, request_timeout_seconds=REQUEST_SECONDS) as edge:
        search = ProductServiceStub(edge.channel).SearchProducts(
            pb.SearchProductsRequest(query="gear")
        )
        with pytest.raises(grpc.RpcError) as raised:
            list(search)
        go_on.set()
    assert raised.value.code() in CUT_OFF


def test_who_does_not_read_a_stream_of_any_length_loses_it() -> None:
    tier = FakeServiceTier(SystemClock())
    admin = tier.add_user("admin@example.org", roles=("admin",), name="n" * 100_000)
    # More than all buffers on the way hold.
    for number in range(1000):
        tier.accounts[str(number)] = tier.accounts[admin.id]
    with public_edge(
        tier, request_timeout_seconds=REQUEST_SECONDS, public_grpc_max_streams=1
    ) as edge:
        metadata = bearer(tier.sign_in(admin))
        unread = edge.users.StreamUsers(users_pb2.StreamUsersRequest(), metadata=metadata)
        assert next(unread).user.id == admin.id
        _wait_for_a_slot(edge, ProductServiceStub(edge.channel))
        with pytest.raises(grpc.RpcError) as raised:
            list(unread)
    assert raised.value.code() in CUT_OFF
