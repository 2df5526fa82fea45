"""Orders placed, cancelled and carried on, and the stock that moves with them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, text, update

from arcana.repository.v1 import order_pb2
from arcana.repository.v1 import order_repository_pb2 as messages
from repository_tier.column_types import MYSQL_DIALECTS
from repository_tier.tables import idempotency_keys, order_items, orders, products
from tests.fakes.clock import FakeClock
from tests.stores.waiting import eventually
from tests.tier.repository.requests import Requests, sha256
from tests.tier.repository.running_tier import (
    RunningTier,
    all_at_once,
    bad_fields,
    failure,
    outcomes,
)
from tests.tier.repository.shelf import Shelf
from tier_runtime.errors import AppError, Kind

PENDING, PAID = order_pb2.ORDER_STATUS_PENDING, order_pb2.ORDER_STATUS_PAID
SHIPPED, CANCELLED = order_pb2.ORDER_STATUS_SHIPPED, order_pb2.ORDER_STATUS_CANCELLED
NOT_FOUND = (Kind.MISSING, "PRODUCT_NOT_FOUND")
ANOTHER_PRICE = (Kind.STALE, "PRECONDITION_FAILED")
TOO_FEW = (Kind.CONFLICT, "INSUFFICIENT_STOCK")
INVALID_STATE = (Kind.CONFLICT, "INVALID_STATE")
ORDER_NOT_FOUND = (Kind.MISSING, "ORDER_NOT_FOUND")


def refusal(tier: RunningTier, request: messages.PlaceOrderRequest) -> AppError:
    """Return why an order was not placed, which must have left nothing behind."""
    with pytest.raises(AppError) as caught:
        tier.orders.PlaceOrder(request)
    assert tier.rows(select(orders)) == []
    assert tier.rows(select(order_items)) == []
    return caught.value


def cancellation(order_id: str, **fields: Any) -> messages.CancelOrderRequest:
    values: dict[str, Any] = {"order_id": order_id, "allowed_statuses": [PENDING, PAID]}
    return messages.CancelOrderRequest(**values | fields)


def carried_on(order_id: str, **fields: Any) -> messages.UpdateOrderStatusRequest:
    values: dict[str, Any] = {"order_id": order_id, "allowed_statuses": [PENDING], "status": PAID}
    return messages.UpdateOrderStatusRequest(**values | fields)


def waiting_updates(tier: RunningTier) -> int:
    """Return how many updates of products run on MySQL."""
    running = text(
        "SELECT COUNT(*) AS count FROM information_schema.processlist "
        "WHERE info LIKE 'UPDATE products%'"
    )
    count: int = tier.rows(running)[0]["count"]
    return count


def test_an_order_keeps_what_was_sold_as_it_was_sold(
    tier: RunningTier, make: Requests, shelf: Shelf, clock: FakeClock
) -> None:
    tea = shelf.put(stock=20, name="Tea", price_minor=1999)
    cup = shelf.put(stock=5, name="Cup 日本", price_minor=0)
    request = make.order(
        make.line(tea, 10, unit_price_minor=1999, discount_minor=1999),
        make.line(cup, 1, unit_price_minor=0),
        make.line(tea, 2, unit_price_minor=1999),
        pricing=order_pb2.PRICING_BULK,
        events=[make.event(type="order.created")],
    )
    placed = tier.orders.PlaceOrder(request)
    order = placed.order
    assert not placed.replayed
    assert (order.id, order.user_id) == (request.order_id, request.user_id)
    assert (order.status, order.pricing, order.version) == (PENDING, order_pb2.PRICING_BULK, 1)
    assert (order.subtotal_minor, order.discount_minor, order.total_minor) == (23988, 1999, 21989)
    assert [(item.product_id, item.name, item.quantity) for item in order.items] == [
        (tea, "Tea", 10),
        (cup, "Cup 日本", 1),
        (tea, "Tea", 2),
    ]
    assert [item.line_total_minor for item in order.items] == [17991, 0, 3998]
    assert order.created_time.ToDatetime(tzinfo=clock.now().tzinfo) == clock.now()

    shelf.change(tea, name="Green tea", price_minor=5)
    found = tier.orders.GetOrder(messages.GetOrderRequest(order_id=order.id)).order
    assert found == order
    assert (shelf.stock(tea), shelf.stock(cup)) == (8, 4)
    # Two lines of one product are one movement.
    assert shelf.ledger(tea) == [(20, "initial"), (-12, "order_placed")]
    assert [event.id for event in shelf.events(prefix="order.")] == [request.events[0].id]
    version = tier.rows(select(products.c.version).where(products.c.id == cup))[0]["version"]
    assert version == 2


@pytest.mark.parametrize("status", ["draft", "inactive", "archived"])
def test_only_active_products_are_sold(
    tier: RunningTier, make: Requests, shelf: Shelf, status: str
) -> None:
    kept = shelf.put(status=status)
    good = shelf.put()
    error = refusal(tier, make.order(make.line(good), make.line(kept)))
    assert (error.kind, error.code) == NOT_FOUND
    assert error.metadata["product_id"] == kept
    assert shelf.stock(good) == 10


def test_a_product_that_is_not_there_is_not_sold(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    nothing = make.new_id()
    error = refusal(tier, make.order(make.line(shelf.put()), make.line(nothing)))
    assert (error.kind, error.code, error.metadata["product_id"]) == (*NOT_FOUND, nothing)


@pytest.mark.parametrize("change", [{"price_minor": 1001}, {"currency_code": "EUR"}])
def test_a_product_that_costs_something_else_by_now_is_not_sold(
    tier: RunningTier, make: Requests, shelf: Shelf, change: dict[str, Any]
) -> None:
    good, changed = shelf.put(), shelf.put()
    shelf.change(changed, **change)
    error = refusal(tier, make.order(make.line(good), make.line(changed)))
    assert (error.kind, error.code, error.metadata["product_id"]) == (*ANOTHER_PRICE, changed)
    assert (shelf.stock(good), shelf.stock(changed)) == (10, 10)


def test_all_lines_that_are_short_are_named_with_what_is_available(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    plenty, few, none = shelf.put(stock=100), shelf.put(stock=3), shelf.put(stock=0)
    request = make.order(
        make.line(none), make.line(plenty, 60), make.line(few, 2), make.line(few, 2)
    )
    error = refusal(tier, request)
    assert (error.kind, error.code) == TOO_FEW
    assert (error.metadata["product_id"], error.metadata["available"]) == (none, "0")
    assert error.field_errors == {
        "items.0.quantity": (f"Product {none}: 0 available, 1 asked for.",),
        "items.2.quantity": (f"Product {few}: 3 available, 4 asked for.",),
        "items.3.quantity": (f"Product {few}: 3 available, 4 asked for.",),
    }
    assert [shelf.stock(one) for one in (plenty, few, none)] == [100, 3, 0]
    assert shelf.event_types() == []


def test_missing_products_are_told_before_stale_prices_before_shortages(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    # By their ids the shortage would be found first.
    short, dear, hidden = shelf.put(stock=0), shelf.put(price_minor=9), shelf.put(status="draft")
    lines = [make.line(short), make.line(dear), make.line(hidden)]
    assert refusal(tier, make.order(*lines)).code == "PRODUCT_NOT_FOUND"
    assert refusal(tier, make.order(*lines[:2])).code == "PRECONDITION_FAILED"
    assert refusal(tier, make.order(*lines[:1])).code == "INSUFFICIENT_STOCK"


def test_a_hundred_lines_are_an_order_and_one_more_is_none(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    lines = [make.line(product_id) for product_id in shelf.put_many(100, stock=1)]
    too_many = make.order(*lines, make.line(lines[0].product_id))
    assert bad_fields(tier.orders.PlaceOrder, too_many) == {"items"}
    request = make.order(*reversed(lines), idempotency_key=make.key())
    order = tier.orders.PlaceOrder(request).order
    assert [item.product_id for item in order.items] == [one.product_id for one in reversed(lines)]
    assert tier.orders.GetOrder(messages.GetOrderRequest(order_id=order.id)).order == order
    # An answer of this size is kept and given again.
    replayed = tier.orders.PlaceOrder(request)
    assert (replayed.replayed, replayed.order) == (True, order)
    assert shelf.event_types() == ["product.out_of_stock"] * 100


def test_an_order_id_is_taken_once(tier: RunningTier, make: Requests, shelf: Shelf) -> None:
    product_id = shelf.put()
    request = make.order(make.line(product_id, 3))
    tier.orders.PlaceOrder(request)
    assert failure(tier.orders.PlaceOrder, request) == (Kind.EXISTS, "ALREADY_EXISTS")
    assert shelf.stock(product_id) == 7


def test_a_key_of_an_order_stands_for_its_content(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    product_id = shelf.put(stock=1)
    first = tier.orders.PlaceOrder(make.order(make.line(product_id), idempotency_key=make.key()))
    again = tier.orders.PlaceOrder(make.order(make.line(product_id), idempotency_key=make.key()))
    assert (again.replayed, again.order) == (True, first.order)
    other = make.order(make.line(product_id), idempotency_key=make.key(fingerprint=sha256("b")))
    assert failure(tier.orders.PlaceOrder, other) == (Kind.INVALID, "IDEMPOTENCY_KEY_REUSED")
    assert len(tier.rows(select(orders))) == 1


def test_an_order_that_was_refused_leaves_its_key_free(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    product_id = shelf.put(stock=1)
    request = make.order(make.line(product_id, 2), idempotency_key=make.key())
    assert failure(tier.orders.PlaceOrder, request) == TOO_FEW
    assert tier.rows(select(idempotency_keys)) == []


@pytest.mark.parametrize(
    ("before", "threshold", "quantity", "types"),
    [
        (10, 4, 5, []),
        (10, 4, 6, ["product.low_stock"]),
        (10, 4, 10, ["product.out_of_stock"]),
        (4, 4, 1, []),
        (4, 4, 4, ["product.out_of_stock"]),
        (10, 0, 9, []),
        (10, 0, 10, ["product.out_of_stock"]),
    ],
)
def test_stock_that_gets_low_or_runs_out_is_told_once(
    tier: RunningTier,
    make: Requests,
    shelf: Shelf,
    before: int,
    threshold: int,
    quantity: int,
    types: list[str],
) -> None:
    product_id = shelf.put(stock=before, low_stock_threshold=threshold)
    tier.orders.PlaceOrder(make.order(make.line(product_id, quantity)))
    events = shelf.events()
    assert [event.type for event in events] == types
    for event in events:
        assert (event.aggregate_type, event.aggregate_id) == ("product", product_id)
        assert event.payload == {
            "product_id": product_id,
            "stock": str(before - quantity),
            "low_stock_threshold": str(threshold),
        }
        assert event.request_id


def test_a_cancelled_order_gives_its_units_back(
    tier: RunningTier, make: Requests, shelf: Shelf, clock: FakeClock
) -> None:
    tea, cup = shelf.put(), shelf.put()
    request = make.order(make.line(cup, 2), make.line(tea, 3), make.line(cup, 1))
    order = tier.orders.PlaceOrder(request).order
    # What has become of a product since does not matter.
    shelf.change(tea, status="archived", price_minor=1)
    clock.advance(5)
    event = make.event(type="order.cancelled")
    cancelled = tier.orders.CancelOrder(cancellation(order.id, events=[event])).order
    assert (cancelled.status, cancelled.version) == (CANCELLED, 2)
    assert cancelled.updated_time.seconds - order.updated_time.seconds == 5
    assert list(cancelled.items) == list(order.items)
    assert (shelf.stock(tea), shelf.stock(cup)) == (10, 10)
    assert shelf.ledger(cup) == [(10, "initial"), (-3, "order_placed"), (3, "order_cancelled")]
    assert [one.id for one in shelf.events(prefix="order.")] == [event.id]
    assert tier.orders.GetOrder(messages.GetOrderRequest(order_id=order.id)).order == cancelled

    with pytest.raises(AppError) as caught:
        tier.orders.CancelOrder(cancellation(order.id, events=[make.event()]))
    assert (caught.value.kind, caught.value.code) == INVALID_STATE
    assert caught.value.metadata["status"] == "cancelled"
    assert shelf.stock(tea) == 10


def test_units_that_have_no_room_are_not_given_back(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    good, full = shelf.put(), shelf.put(stock=10**9)
    order = tier.orders.PlaceOrder(make.order(make.line(good), make.line(full))).order
    shelf.add(full, 1)
    assert failure(tier.orders.CancelOrder, cancellation(order.id)) == INVALID_STATE
    found = tier.orders.GetOrder(messages.GetOrderRequest(order_id=order.id)).order
    assert (found.status, shelf.stock(good)) == (PENDING, 9)


def test_the_status_of_an_order_changes_from_the_given_ones_only(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    product_id = shelf.put()
    order = tier.orders.PlaceOrder(make.order(make.line(product_id))).order
    event = make.event(type="order.paid")
    paid = tier.orders.UpdateOrderStatus(carried_on(order.id, events=[event])).order
    assert (paid.status, paid.version, list(paid.items)) == (PAID, 2, list(order.items))
    assert [one.id for one in shelf.events(prefix="order.")] == [event.id]

    with pytest.raises(AppError) as caught:
        tier.orders.UpdateOrderStatus(carried_on(order.id))
    assert (caught.value.kind, caught.value.code) == INVALID_STATE
    assert caught.value.metadata["status"] == "paid"
    stale = carried_on(order.id, expected_version=1, allowed_statuses=[PAID], status=SHIPPED)
    assert failure(tier.orders.UpdateOrderStatus, stale) == ANOTHER_PRICE
    stale.expected_version = 2
    assert tier.orders.UpdateOrderStatus(stale).order.version == 3
    assert failure(tier.orders.CancelOrder, cancellation(order.id)) == INVALID_STATE
    assert shelf.stock(product_id) == 9


def test_an_order_that_is_not_there_is_told_so(tier: RunningTier, make: Requests) -> None:
    nobody = make.new_id()
    get = messages.GetOrderRequest(order_id=nobody)
    assert failure(tier.orders.GetOrder, get) == ORDER_NOT_FOUND
    assert failure(tier.orders.CancelOrder, cancellation(nobody)) == ORDER_NOT_FOUND
    assert failure(tier.orders.UpdateOrderStatus, carried_on(nobody)) == ORDER_NOT_FOUND


def test_what_is_missing_or_wrong_in_a_request_is_named(tier: RunningTier, make: Requests) -> None:
    place = make.order(make.line("x", 0), make.line(make.new_id()), currency_code="usd")
    expected = {"items.0.product_id", "items.0.quantity", "currency_code"}
    assert bad_fields(tier.orders.PlaceOrder, place) == expected
    required = {"order_id", "user_id", "items", "currency_code", "pricing"}
    assert bad_fields(tier.orders.PlaceOrder, messages.PlaceOrderRequest()) == required
    assert bad_fields(tier.orders.GetOrder, messages.GetOrderRequest()) == {"order_id"}
    assert bad_fields(tier.orders.GetOrder, messages.GetOrderRequest(order_id="x")) == {"order_id"}
    required = {"order_id", "allowed_statuses"}
    assert bad_fields(tier.orders.CancelOrder, messages.CancelOrderRequest()) == required
    required = {"order_id", "allowed_statuses", "status"}
    update_status = messages.UpdateOrderStatusRequest()
    assert bad_fields(tier.orders.UpdateOrderStatus, update_status) == required


@pytest.mark.usefixtures("warm_tier")
def test_of_ten_orders_with_one_key_one_is_placed(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    product_id = shelf.put()

    def place(_number: int) -> messages.PlaceOrderResponse:
        return tier.orders.PlaceOrder(
            make.order(make.line(product_id, 2), idempotency_key=make.key())
        )

    answers = all_at_once(10, place)
    assert outcomes(answers) == {"OK": 10}
    placed = [answer for answer in answers if not isinstance(answer, AppError)]
    assert sum(not answer.replayed for answer in placed) == 1
    assert len({answer.order.SerializeToString(deterministic=True) for answer in placed}) == 1
    assert shelf.stock(product_id) == 8


@pytest.mark.usefixtures("warm_tier")
def test_sixty_four_orders_for_forty_units_sell_forty(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    product_id = shelf.put(stock=40)
    answers = all_at_once(
        64, lambda _number: tier.orders.PlaceOrder(make.order(make.line(product_id)))
    )
    assert outcomes(answers) == {"OK": 40, "INSUFFICIENT_STOCK": 24}
    assert (shelf.stock(product_id), len(tier.rows(select(orders)))) == (0, 40)
    assert shelf.event_types() == ["product.out_of_stock"]


def test_orders_with_their_lines_in_opposite_order_do_not_stand_in_each_others_way(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    several = shelf.put_many(4, stock=100)

    def place(number: int) -> messages.PlaceOrderResponse:
        ordered = several if number % 2 else several[::-1]
        return tier.orders.PlaceOrder(make.order(*[make.line(one) for one in ordered]))

    assert outcomes(all_at_once(32, place)) == {"OK": 32}
    assert [shelf.stock(one) for one in several] == [68] * 4


def test_of_sixteen_cancellations_one_gives_the_units_back(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    product_id = shelf.put()
    order = tier.orders.PlaceOrder(make.order(make.line(product_id, 4))).order
    request = cancellation(order.id)
    answers = all_at_once(16, lambda _number: tier.orders.CancelOrder(request))
    assert outcomes(answers) == {"OK": 1, "INVALID_STATE": 15}
    assert shelf.ledger(product_id)[1:] == [(-4, "order_placed"), (4, "order_cancelled")]


def test_an_order_is_either_cancelled_or_carried_on(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    product_id = shelf.put()
    order = tier.orders.PlaceOrder(make.order(make.line(product_id))).order

    def either(number: int) -> object:
        if number % 2:
            return tier.orders.CancelOrder(cancellation(order.id, allowed_statuses=[PENDING]))
        return tier.orders.UpdateOrderStatus(carried_on(order.id))

    assert outcomes(all_at_once(8, either)) == {"OK": 1, "INVALID_STATE": 7}
    found = tier.orders.GetOrder(messages.GetOrderRequest(order_id=order.id)).order
    assert found.version == 2
    assert shelf.stock(product_id) == (10 if found.status == CANCELLED else 9)


def test_an_order_that_waits_for_a_change_of_the_price_is_refused_by_the_new_one(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    product_id = shelf.put()
    price = update(products).where(products.c.id == product_id).values(price_minor=2000)
    with ThreadPoolExecutor(1) as pool:
        with tier.engine.begin() as other:
            other.execute(price)
            request = make.order(make.line(product_id))
            placing = pool.submit(failure, tier.orders.PlaceOrder, request)
            if other.dialect.name in MYSQL_DIALECTS:
                eventually(lambda: waiting_updates(tier) == 1, what="an order that waits")
        assert placing.result(20) == ANOTHER_PRICE
    assert shelf.stock(product_id) == 10


def test_while_a_price_rises_nobody_pays_less_than_the_one_before(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    product_id = shelf.put(stock=1000, price_minor=1)
    wanted = select(products.c.price_minor).where(products.c.id == product_id)

    def buy_or_raise(number: int) -> None:
        for _ in range(12):
            (row,) = tier.rows(wanted)
            if number == 0:
                shelf.change(product_id, price_minor=row["price_minor"] + 1)
                continue
            line = make.line(product_id, unit_price_minor=row["price_minor"])
            try:
                tier.orders.PlaceOrder(make.order(line))
            except AppError as error:
                if error.code != "PRECONDITION_FAILED":
                    raise

    assert outcomes(all_at_once(4, buy_or_raise)) == {"OK": 4}
    paid = shelf.prices_paid(product_id)
    assert paid == sorted(paid)
    assert len(paid) == 1000 - shelf.stock(product_id)
