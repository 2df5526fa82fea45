from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from arcana.common.v1 import paging_pb2
from arcana.service.v1 import order_pb2
from arcana.service.v1 import order_service_pb2 as pb
from tests.unit.service_tier.harness import ADMIN, Harness
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind

PENDING = order_pb2.ORDER_STATUS_PENDING
PAID = order_pb2.ORDER_STATUS_PAID
SHIPPED = order_pb2.ORDER_STATUS_SHIPPED
DELIVERED = order_pb2.ORDER_STATUS_DELIVERED
CANCELLED = order_pb2.ORDER_STATUS_CANCELLED
WAY = (PAID, SHIPPED, DELIVERED)

UNKNOWN = "019aa000-0000-7000-8000-000000000001"
ADA = Actor("019aa000-0000-7000-8000-00000000000c", frozenset({"user"}))
BOB = Actor("019aa000-0000-7000-8000-00000000000d", frozenset({"user"}))


def place(harness: Harness, actor: Actor = ADA, units: int = 2) -> order_pb2.Order:
    product = harness.product()
    line = pb.OrderLine(product_id=product.id, quantity=units)
    with harness.acting(actor):
        return harness.orders.PlaceOrder(pb.PlaceOrderRequest(items=[line])).order


def get(harness: Harness, order_id: str, actor: Actor = ADMIN) -> order_pb2.Order:
    with harness.acting(actor):
        return harness.orders.GetOrder(pb.GetOrderRequest(order_id=order_id)).order


def cancel(harness: Harness, order_id: str, actor: Actor = ADA) -> order_pb2.Order:
    with harness.acting(actor):
        return harness.orders.CancelOrder(pb.CancelOrderRequest(order_id=order_id)).order


def move(
    harness: Harness,
    order_id: str,
    status: order_pb2.OrderStatus.ValueType,
    actor: Actor = ADMIN,
    version: int = 0,
) -> order_pb2.Order:
    request = pb.UpdateOrderStatusRequest(
        order_id=order_id, status=status, expected_version=version
    )
    with harness.acting(actor):
        return harness.orders.UpdateOrderStatus(request).order


def listed(harness: Harness, actor: Actor, **fields: object) -> pb.ListOrdersResponse:
    with harness.acting(actor):
        return harness.orders.ListOrders(pb.ListOrdersRequest(**fields))  # type: ignore[arg-type]


def ids(answer: pb.ListOrdersResponse) -> list[str]:
    return [order.id for order in answer.orders]


def stock(harness: Harness, order: order_pb2.Order) -> int:
    return harness.kept_product(order.items[0].product_id).stock


def reach(harness: Harness, order_id: str, status: order_pb2.OrderStatus.ValueType) -> None:
    """Bring a pending order to a status."""
    if status == CANCELLED:
        cancel(harness, order_id, ADMIN)
    for step in WAY[: WAY.index(status) + 1] if status in WAY else ():
        move(harness, order_id, step)


def test_an_order_is_read_by_whose_it_is_and_by_admins(harness: Harness) -> None:
    order = place(harness)
    assert get(harness, order.id, ADA) == get(harness, order.id, ADMIN) == order


def test_an_order_of_somebody_else_is_not_there(harness: Harness) -> None:
    order = place(harness)
    harness.channel.calls.clear()
    for order_id, actor in ((order.id, BOB), (UNKNOWN, BOB), (UNKNOWN, ADA), (UNKNOWN, ADMIN)):
        for call in (get, cancel):
            with pytest.raises(AppError) as refused:
                call(harness, order_id, actor)
            assert (refused.value.kind, refused.value.code) == (Kind.MISSING, "ORDER_NOT_FOUND")
            # Nothing tells whether there is one.
            assert refused.value.metadata == {}
    assert set(harness.channel.calls) == {"GetOrder"}
    assert stock(harness, order) == 98


def test_everybody_lists_their_own_and_admins_all(harness: Harness) -> None:
    orders = []
    for actor in (ADA, BOB, ADA):
        orders.append(place(harness, actor).id)
        harness.clock.advance(1)
    one, two, three = orders
    assert ids(listed(harness, ADMIN)) == [one, two, three]
    assert ids(listed(harness, ADA)) == [one, three]
    assert listed(harness, ADA).page.total == 2
    own = pb.OrderFilter(user_id=ADA.subject.upper())
    assert ids(listed(harness, ADA, filter=own)) == [one, three]
    assert ids(listed(harness, ADMIN, filter=own)) == [one, three]


def test_by_another_users_id_who_is_no_admin_finds_nothing_and_nobody_is_asked(
    harness: Harness,
) -> None:
    place(harness)
    harness.channel.calls.clear()
    others = pb.OrderFilter(user_id=ADA.subject)
    seen = listed(harness, BOB, filter=others)
    assert (ids(seen), seen.page.total, seen.page.next_cursor) == ([], 0, "")
    page = paging_pb2.PageRequest(cursor="x")
    assert not listed(harness, BOB, filter=others, page=page).page.HasField("total")
    assert harness.channel.calls == []


def test_lists_are_filtered_sorted_and_walked(harness: Harness) -> None:
    orders = []
    for _ in range(5):
        orders.append(place(harness))
        harness.clock.advance(10)
    cancel(harness, orders[1].id)
    assert ids(listed(harness, ADA, filter=pb.OrderFilter(status=CANCELLED))) == [orders[1].id]
    newest = paging_pb2.PageRequest(descending=True)
    by_change = listed(harness, ADA, sort=pb.ORDER_SORT_FIELD_UPDATED_TIME, page=newest)
    assert ids(by_change)[0] == orders[1].id
    start = orders[1].created_time.ToDatetime()
    between = pb.OrderFilter()
    between.created_after_time.FromDatetime(start)
    between.created_before_time.FromDatetime(start + timedelta(seconds=20))
    assert ids(listed(harness, ADA, filter=between)) == [orders[1].id, orders[2].id]
    walked, page = [], paging_pb2.PageRequest(page_size=2)
    while True:
        part = listed(harness, ADA, page=page)
        walked += ids(part)
        if not part.page.next_cursor:
            break
        page.cursor = part.page.next_cursor
    assert walked == [order.id for order in orders]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"sort": 99}, {"sort"}),
        ({"filter": pb.OrderFilter(status=99)}, {"status"}),  # type: ignore[arg-type]
        (
            {"filter": pb.OrderFilter(created_after_time=Timestamp(seconds=-(10**12)))},
            {"created_after_time"},
        ),
        (
            {"filter": pb.OrderFilter(created_before_time=Timestamp(seconds=10**12))},
            {"created_before_time"},
        ),
        ({"page": paging_pb2.PageRequest(page_size=101, page=-1)}, {"page_size", "page"}),
    ],
)
def test_what_is_wrong_with_a_list_is_told_by_field(
    harness: Harness, fields: dict[str, object], expected: set[str]
) -> None:
    with pytest.raises(AppError) as refused:
        listed(harness, ADA, **fields)
    assert refused.value.code == "VALIDATION_FAILED"
    assert set(refused.value.field_errors) == expected
    assert harness.channel.calls == []


@pytest.mark.parametrize("status", [PENDING, PAID])
def test_a_cancelled_order_gives_its_units_back_once(
    harness: Harness, status: order_pb2.OrderStatus.ValueType
) -> None:
    order = place(harness)
    reach(harness, order.id, status)
    assert stock(harness, order) == 98
    cancelled = cancel(harness, order.id)
    assert cancelled.status == CANCELLED
    assert stock(harness, order) == 100
    (event,) = harness.events("order.cancelled")
    assert (event.aggregate_type, event.aggregate_id) == ("order", order.id)
    assert dict(event.payload) == {"order_id": order.id, "user_id": ADA.subject}
    with pytest.raises(AppError) as refused:
        cancel(harness, order.id)
    assert (refused.value.kind, refused.value.code) == (Kind.CONFLICT, "INVALID_STATE")
    assert refused.value.metadata == {"status": "cancelled"}
    assert stock(harness, order) == 100
    assert len(harness.events("order.cancelled")) == 1


@pytest.mark.parametrize(("status", "word"), [(SHIPPED, "shipped"), (DELIVERED, "delivered")])
def test_what_has_left_cannot_be_cancelled(
    harness: Harness, status: order_pb2.OrderStatus.ValueType, word: str
) -> None:
    order = place(harness)
    reach(harness, order.id, status)
    for actor in (ADA, ADMIN):
        with pytest.raises(AppError, match="INVALID_STATE") as refused:
            cancel(harness, order.id, actor)
        assert refused.value.metadata == {"status": word}
    assert stock(harness, order) == 98


def test_an_admin_cancels_an_order_of_anybody_and_it_stays_theirs(harness: Harness) -> None:
    order = place(harness)
    assert cancel(harness, order.id, ADMIN).user_id == ADA.subject
    (event,) = harness.events("order.cancelled")
    assert (event.payload["user_id"], event.actor_subject) == (ADA.subject, ADMIN.subject)


def test_an_order_goes_its_way_step_by_step_and_each_is_told(harness: Harness) -> None:
    order = place(harness)
    for number, status in enumerate(WAY, 2):
        moved = move(harness, order.id, status)
        assert (moved.status, moved.version) == (status, number)
    told = [event for event in harness.repository.state.events if event.aggregate_id == order.id]
    assert [event.type for event in told] == [
        "order.created",
        "order.paid",
        "order.shipped",
        "order.delivered",
    ]
    assert dict(told[1].payload) == {"order_id": order.id, "user_id": ADA.subject}
    assert stock(harness, order) == 98


STATUSES = (PENDING, *WAY, CANCELLED)


@pytest.mark.parametrize("at", STATUSES)
def test_no_order_goes_any_other_way(harness: Harness, at: order_pb2.OrderStatus.ValueType) -> None:
    order = place(harness)
    reach(harness, order.id, at)
    allowed = {PENDING: PAID, PAID: SHIPPED, SHIPPED: DELIVERED}.get(at)
    before = get(harness, order.id)
    events = len(harness.repository.state.events)
    for status in STATUSES:
        if status != allowed:
            with pytest.raises(AppError) as refused:
                move(harness, order.id, status)
            assert (refused.value.kind, refused.value.code) == (Kind.CONFLICT, "INVALID_STATE")
            word = order_pb2.OrderStatus.Name(at).removeprefix("ORDER_STATUS_").lower()
            assert refused.value.metadata == {"status": word}
    assert get(harness, order.id) == before
    assert len(harness.repository.state.events) == events


def test_another_version_than_the_expected_one_is_refused(harness: Harness) -> None:
    order = place(harness)
    # Even where the step would be a wrong one.
    for status in (PAID, PENDING):
        with pytest.raises(AppError) as refused:
            move(harness, order.id, status, version=9)
        assert (refused.value.kind, refused.value.code) == (Kind.STALE, "PRECONDITION_FAILED")

    def bump(_: object) -> None:
        harness.repository.state.orders[order.id].version += 1

    harness.channel.before["UpdateOrderStatus"] = bump
    with pytest.raises(AppError, match="PRECONDITION_FAILED"):
        move(harness, order.id, PAID, version=1)
    harness.channel.before.clear()
    assert move(harness, order.id, PAID, version=2).version == 3


def test_the_status_of_an_order_that_is_none_is_not_found(harness: Harness) -> None:
    for status in (PAID, CANCELLED):
        with pytest.raises(AppError, match="ORDER_NOT_FOUND"):
            move(harness, UNKNOWN, status)


def test_what_is_wrong_with_a_request_is_told_by_field(harness: Harness) -> None:
    calls: list[tuple[Callable[[], object], set[str]]] = [
        (lambda: get(harness, ""), {"order_id"}),
        (lambda: get(harness, "order"), {"order_id"}),
        (lambda: cancel(harness, ""), {"order_id"}),
        (lambda: move(harness, "", PENDING), {"order_id"}),
        (lambda: move(harness, UNKNOWN, order_pb2.ORDER_STATUS_UNSPECIFIED), {"status"}),
        (lambda: move(harness, UNKNOWN, 99), {"status"}),  # type: ignore[arg-type]
    ]
    for call, expected in calls:
        with pytest.raises(AppError) as refused:
            call()
        assert refused.value.code == "VALIDATION_FAILED"
        assert set(refused.value.field_errors) == expected


def test_every_call_needs_somebody_and_the_status_an_admin(harness: Harness) -> None:
    order = place(harness)
    harness.channel.calls.clear()
    # Roles without a name are nobody's.
    for nobody in (Actor(), Actor("", frozenset({"admin"}))):
        line = pb.OrderLine(product_id=UNKNOWN, quantity=1)
        calls: list[Callable[[], object]] = [
            lambda: harness.orders.PlaceOrder(pb.PlaceOrderRequest(items=[line])),  # noqa: B023
            lambda: harness.orders.GetOrder(pb.GetOrderRequest(order_id=order.id)),
            lambda: harness.orders.ListOrders(pb.ListOrdersRequest()),
            lambda: harness.orders.CancelOrder(pb.CancelOrderRequest(order_id=order.id)),
            lambda: harness.orders.UpdateOrderStatus(
                pb.UpdateOrderStatusRequest(order_id=order.id, status=PAID)
            ),
        ]
        for call in calls:
            with harness.acting(nobody), pytest.raises(AppError) as refused:
                call()
            assert refused.value.code == "UNAUTHENTICATED"
    with pytest.raises(AppError) as refused:
        move(harness, order.id, PAID, ADA)
    assert (refused.value.kind, refused.value.code) == (Kind.FORBIDDEN, "FORBIDDEN")
    assert harness.channel.calls == []
