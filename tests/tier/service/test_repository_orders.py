"""What the service tier relies on about orders: the fake repository tier and the real one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import order_pb2, product_pb2
from arcana.repository.v1 import order_repository_pb2 as pb
from tests.tier.service.contract_requests import UNKNOWN, code_of
from tests.tier.service.shop_requests import (
    CANCELLED,
    DRAFT,
    PAID,
    PENDING,
    SHIPPED,
    USER,
    Shop,
)
from tier_runtime.errors import AppError, Kind

OTHER_USER = "019aa000-0000-7000-8000-00000000000d"


def refusal_of(shop: Shop, request: pb.PlaceOrderRequest) -> AppError:
    with pytest.raises(AppError) as refused:
        shop.orders.PlaceOrder(request)
    return refused.value


def test_a_placed_order_is_read_back_as_it_was_answered(shop: Shop) -> None:
    lamp, desk = shop.product("Lamp"), shop.product("Desk", price_minor=25_000)
    answer = shop.orders.PlaceOrder(
        shop.placing((desk, 1), (lamp, 2), (lamp, 3), discount=99, pricing=order_pb2.PRICING_BULK)
    )
    order = answer.order
    assert not answer.replayed
    assert (order.user_id, order.status, order.version) == (USER, PENDING, 1)
    assert (order.currency_code, order.pricing) == ("USD", order_pb2.PRICING_BULK)
    assert [(one.product_id, one.name, one.quantity) for one in order.items] == [
        (desk.id, "Desk", 1),
        (lamp.id, "Lamp", 2),
        (lamp.id, "Lamp", 3),
    ]
    assert [
        (one.unit_price_minor, one.discount_minor, one.line_total_minor) for one in order.items
    ] == [(25_000, 99, 24_901), (1999, 99, 3899), (1999, 99, 5898)]
    assert (order.subtotal_minor, order.discount_minor, order.total_minor) == (34_995, 297, 34_698)
    assert order.created_time == order.updated_time
    assert shop.read_order(order.id) == order
    assert (shop.read(lamp.id).stock, shop.read(desk.id).stock) == (5, 9)
    taken = shop.ledger(lamp.id)[1:]
    assert sum(units for units, _, _ in taken) == -5
    assert {(reason, order_id) for _, reason, order_id in taken} == {("order_placed", order.id)}


def test_an_order_keeps_what_was_sold(shop: Shop) -> None:
    lamp = shop.product()
    order = shop.order((lamp, 1))
    shop.update(lamp.id, name="Light", price_minor=1, currency_code="EUR")
    assert shop.read_order(order.id) == order


def test_what_is_not_there_or_not_for_sale_is_not_sold(shop: Shop) -> None:
    lamp, draft = shop.product(), shop.product(status=DRAFT)
    unknown = product_pb2.Product(id=UNKNOWN, price_minor=1, currency_code="USD")
    for other in (draft, unknown):
        error = refusal_of(shop, shop.placing((lamp, 1), (other, 1)))
        assert (error.kind, error.code) == (Kind.MISSING, "PRODUCT_NOT_FOUND")
        assert error.metadata == {"product_id": other.id}
    assert shop.ledger(lamp.id) == [(10, "initial", "")]


def test_nothing_is_sold_at_a_price_that_is_no_longer_its_own(shop: Shop) -> None:
    lamp, desk = shop.product("Lamp"), shop.product("Desk")
    shop.update(desk.id, price_minor=desk.price_minor + 1)
    error = refusal_of(shop, shop.placing((lamp, 1), (desk, 1)))
    assert (error.kind, error.code) == (Kind.STALE, "PRECONDITION_FAILED")
    assert error.metadata == {"product_id": desk.id}
    shop.update(desk.id, price_minor=desk.price_minor, currency_code="EUR")
    error = refusal_of(shop, shop.placing((lamp, 1), (desk, 1)))
    assert (error.kind, error.code) == (Kind.STALE, "PRECONDITION_FAILED")
    assert shop.ledger(lamp.id) == shop.ledger(desk.id) == [(10, "initial", "")]


def test_too_few_units_are_told_by_product_and_line_and_nothing_is_sold(shop: Shop) -> None:
    lamp, desk, chair = (shop.product(name) for name in ("Lamp", "Desk", "Chair"))
    error = refusal_of(shop, shop.placing((lamp, 6), (chair, 1), (desk, 11), (lamp, 6)))
    assert (error.kind, error.code) == (Kind.CONFLICT, "INSUFFICIENT_STOCK")
    assert error.metadata["available"] == "10"
    assert error.metadata["product_id"] in {lamp.id, desk.id}
    assert set(error.field_errors) == {"items.0.quantity", "items.2.quantity", "items.3.quantity"}
    for product in (lamp, desk, chair):
        assert shop.ledger(product.id) == [(10, "initial", "")]
    # The last ones may go.
    assert shop.order((lamp, 6), (lamp, 4)).items[1].quantity == 4
    assert shop.read(lamp.id).stock == 0


def test_a_total_that_is_not_the_sum_is_refused(shop: Shop) -> None:
    lamp = shop.product()
    error = refusal_of(shop, shop.placing((lamp, 1), total_minor=1))
    assert error.code == "VALIDATION_FAILED"
    assert set(error.field_errors) == {"total_minor"}
    assert shop.read(lamp.id).stock == 10


def test_an_id_is_taken_once(shop: Shop) -> None:
    lamp = shop.product()
    request = shop.placing((lamp, 1))
    shop.orders.PlaceOrder(request)
    assert refusal_of(shop, request).code == "ALREADY_EXISTS"
    assert shop.read(lamp.id).stock == 9


def test_the_same_key_places_one_order_whatever_becomes_of_its_products(shop: Shop) -> None:
    lamp = shop.product()
    first = shop.orders.PlaceOrder(shop.placing((lamp, 10), idempotency_key=shop.key("o")))
    dear = shop.update(lamp.id, price_minor=5000, currency_code="EUR", status=DRAFT)
    again = shop.orders.PlaceOrder(shop.placing((dear, 10), idempotency_key=shop.key("o")))
    assert (first.replayed, again.replayed) == (False, True)
    assert again.order == first.order
    other = shop.placing((lamp, 10), idempotency_key=shop.key("o", "other"))
    assert refusal_of(shop, other).code == "IDEMPOTENCY_KEY_REUSED"
    assert [units for units, _, _ in shop.ledger(lamp.id)] == [10, -10]


def test_what_was_not_sold_leaves_its_key_free(shop: Shop) -> None:
    lamp = shop.product()
    key = shop.key("o")
    refused = refusal_of(shop, shop.placing((lamp, 11), idempotency_key=key))
    assert refused.code == "INSUFFICIENT_STOCK"
    shop.move(lamp.id, 1)
    placed = shop.orders.PlaceOrder(shop.placing((lamp, 11), idempotency_key=key))
    assert not placed.replayed


def test_a_cancelled_order_gives_its_units_back_once(shop: Shop) -> None:
    lamp, desk = shop.product("Lamp"), shop.product("Desk")
    order = shop.order((lamp, 2), (desk, 1), (lamp, 3))
    shop.clock.advance(1)
    cancelled = shop.cancel(order.id)
    assert (cancelled.status, cancelled.version) == (CANCELLED, 2)
    assert list(cancelled.items) == list(order.items)
    assert cancelled.updated_time != order.updated_time
    assert shop.read_order(order.id) == cancelled
    with pytest.raises(AppError) as refused:
        shop.cancel(order.id)
    assert (refused.value.kind, refused.value.code) == (Kind.CONFLICT, "INVALID_STATE")
    assert refused.value.metadata == {"status": "cancelled"}
    assert (shop.read(lamp.id).stock, shop.read(desk.id).stock) == (10, 10)
    assert shop.ledger(desk.id) == [
        (10, "initial", ""),
        (-1, "order_placed", order.id),
        (1, "order_cancelled", order.id),
    ]


def test_an_order_is_cancelled_in_the_statuses_named_and_in_no_other(shop: Shop) -> None:
    lamp = shop.product()
    order = shop.order((lamp, 1))
    shop.advance(order.id, PENDING, PAID)
    assert code_of(lambda: shop.cancel(order.id, PENDING)) == "INVALID_STATE"
    assert shop.read(lamp.id).stock == 9
    assert shop.cancel(order.id, PAID).status == CANCELLED


def test_a_status_follows_those_named_and_no_other(shop: Shop) -> None:
    lamp = shop.product()
    order = shop.order((lamp, 1))
    with pytest.raises(AppError) as refused:
        shop.advance(order.id, PAID, SHIPPED)
    assert (refused.value.kind, refused.value.code) == (Kind.CONFLICT, "INVALID_STATE")
    assert refused.value.metadata == {"status": "pending"}
    with pytest.raises(AppError) as refused:
        shop.advance(order.id, PENDING, PAID, version=2)
    assert (refused.value.kind, refused.value.code) == (Kind.STALE, "PRECONDITION_FAILED")
    paid = shop.advance(order.id, PENDING, PAID, version=1)
    assert (paid.status, paid.version) == (PAID, 2)
    assert shop.advance(order.id, PAID, SHIPPED).version == 3
    assert shop.read_order(order.id).status == SHIPPED
    assert shop.read(lamp.id).stock == 9


def test_what_is_asked_of_an_unknown_order_is_not_found(shop: Shop) -> None:
    for order_id, code in ((UNKNOWN, "ORDER_NOT_FOUND"), ("order", "VALIDATION_FAILED")):
        calls: list[Callable[[str], object]] = [
            shop.read_order,
            shop.cancel,
            lambda one: shop.advance(one, PENDING, PAID),
        ]
        assert {code_of(lambda: call(order_id)) for call in calls} == {code}  # noqa: B023


def listed(shop: Shop, request: pb.ListOrdersRequest) -> tuple[list[str], paging_pb2.PageResult]:
    answer = shop.orders.ListOrders(request)
    return [order.id for order in answer.orders], answer.page


@pytest.mark.parametrize("descending", [False, True])
def test_lists_walk_by_page_and_by_cursor_in_one_order(shop: Shop, *, descending: bool) -> None:
    lamp, expected = shop.product(), []
    for _ in range(5):
        shop.clock.advance(1)
        expected.append(shop.order((lamp, 1), (lamp, 1)).id)
    if descending:
        expected.reverse()
    by_page, by_cursor = [], []
    for number in range(3):
        page = paging_pb2.PageRequest(page_size=2, page=number, descending=descending)
        found, result = listed(shop, pb.ListOrdersRequest(page=page))
        by_page += found
        assert result.total == 5
        assert bool(result.next_cursor) == (number < 2)
    page = paging_pb2.PageRequest(page_size=2, descending=descending)
    while True:
        found, result = listed(shop, pb.ListOrdersRequest(page=page))
        by_cursor += found
        if not result.next_cursor:
            break
        page.cursor = result.next_cursor
    assert not result.HasField("total")
    assert by_page == by_cursor == expected


def test_lists_sort_and_filter_and_show_whole_orders(shop: Shop) -> None:
    lamp = shop.product()
    one = shop.order((lamp, 1), (lamp, 2))
    shop.clock.advance(10)
    two = shop.order((lamp, 1), user_id=OTHER_USER)
    shop.clock.advance(10)
    three = shop.order((lamp, 1))
    shop.clock.advance(10)
    one = shop.cancel(one.id)
    request, wanted = pb.ListOrdersRequest, pb.OrderFilter
    cases = [
        (request(), [one, two, three]),
        (request(sort=pb.ORDER_SORT_FIELD_UPDATED_TIME), [two, three, one]),
        (request(filter=wanted(user_id=USER)), [one, three]),
        (request(filter=wanted(user_id=UNKNOWN)), []),
        (request(filter=wanted(status=PENDING)), [two, three]),
        (request(filter=wanted(status=CANCELLED, user_id=OTHER_USER)), []),
        (
            request(
                filter=wanted(
                    created_after_time=two.created_time, created_before_time=three.created_time
                )
            ),
            [two],
        ),
    ]
    for asked, expected in cases:
        answer = shop.orders.ListOrders(asked)
        assert list(answer.orders) == expected
        assert answer.page.total == len(expected)


def test_a_cursor_of_another_list_is_a_field_error(shop: Shop) -> None:
    lamp = shop.product()
    for _ in range(3):
        shop.order((lamp, 1))
    page = paging_pb2.PageRequest(page_size=1)
    _, result = listed(shop, pb.ListOrdersRequest(page=page))
    for cursor in (result.next_cursor, "nonsense"):
        other = pb.ListOrdersRequest(
            filter=pb.OrderFilter(user_id=USER),
            page=paging_pb2.PageRequest(page_size=1, cursor=cursor),
        )
        with pytest.raises(AppError) as refused:
            shop.orders.ListOrders(other)
        assert set(refused.value.field_errors) == {"cursor"}
