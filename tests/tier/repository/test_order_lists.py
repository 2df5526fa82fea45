"""Orders page by page."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from sqlalchemy import text

from arcana.common.v1.paging_pb2 import PageRequest
from arcana.repository.v1 import order_pb2
from arcana.repository.v1 import order_repository_pb2 as messages
from repository_tier.column_types import MYSQL_DIALECTS
from tests.fakes.clock import FakeClock
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier, bad_fields
from tests.tier.repository.shelf import Shelf

PENDING, CANCELLED = order_pb2.ORDER_STATUS_PENDING, order_pb2.ORDER_STATUS_CANCELLED
SORTS = [messages.ORDER_SORT_FIELD_CREATED_TIME, messages.ORDER_SORT_FIELD_UPDATED_TIME]


@pytest.fixture
def many(
    tier: RunningTier, make: Requests, shelf: Shelf, clock: FakeClock
) -> list[order_pb2.Order]:
    """Orders of two users with ties in time; one of them has changed since."""
    tea, cup = shelf.put(stock=100), shelf.put(stock=100)
    users = [make.new_id(), make.new_id()]
    made = []
    for number in range(7):
        if number % 3 == 0:
            clock.advance(1.5)
        # Not in the order of the products' ids.
        lines = [make.line(cup, number + 1), make.line(tea), make.line(cup)]
        request = make.order(*lines, user_id=users[number % 2])
        made.append(tier.orders.PlaceOrder(request).order)
    clock.advance(1)
    cancelled = messages.CancelOrderRequest(order_id=made[2].id, allowed_statuses=[PENDING])
    made[2] = tier.orders.CancelOrder(cancelled).order
    return made


def listed(tier: RunningTier, **fields: Any) -> messages.ListOrdersResponse:
    return tier.orders.ListOrders(messages.ListOrdersRequest(**fields))


def sort_key(order: order_pb2.Order, sort: int) -> tuple[int, str]:
    is_created = sort == messages.ORDER_SORT_FIELD_CREATED_TIME
    moment = order.created_time if is_created else order.updated_time
    return moment.ToNanoseconds(), order.id


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", SORTS, ids=messages.OrderSortField.Name)
def test_pages_and_cursors_walk_all_orders_with_their_items(
    tier: RunningTier, many: list[order_pb2.Order], sort: int, descending: bool
) -> None:
    expected = sorted(many, key=lambda order: sort_key(order, sort), reverse=descending)
    by_number: list[order_pb2.Order] = []
    for number in itertools.count():
        page = PageRequest(page_size=3, page=number, descending=descending)
        answer = listed(tier, page=page, sort=sort)
        by_number += answer.orders
        assert answer.page.total == len(many)
        if not answer.page.next_cursor:
            break
    assert by_number == expected

    by_cursor: list[order_pb2.Order] = []
    cursor = ""
    while cursor or not by_cursor:
        page = PageRequest(page_size=2, cursor=cursor, descending=descending)
        answer = listed(tier, page=page, sort=sort)
        by_cursor += answer.orders
        assert answer.page.HasField("total") is not bool(cursor)
        cursor = answer.page.next_cursor
    assert by_cursor == expected


def test_the_first_ten_by_creation_are_a_page_when_nothing_is_said(
    tier: RunningTier, many: list[order_pb2.Order]
) -> None:
    expected = sorted(many, key=lambda order: sort_key(order, SORTS[0]))
    assert list(listed(tier).orders) == expected


def test_filters_hold_together(
    tier: RunningTier, many: list[order_pb2.Order], make: Requests
) -> None:
    def found(**fields: Any) -> set[str]:
        answer = listed(tier, filter=messages.OrderFilter(**fields))
        assert answer.page.total == len(answer.orders)
        return {order.id for order in answer.orders}

    user, middle = many[0].user_id, many[3].created_time
    of_user = {order.id for order in many[::2]}
    assert found(user_id=user) == of_user
    # Letters of either case are the same id.
    assert found(user_id=user.upper()) == of_user
    assert found(user_id=make.new_id()) == set()
    assert found(status=CANCELLED) == {many[2].id}
    assert found(status=PENDING, user_id=user) == of_user - {many[2].id}
    assert found(created_after_time=middle) == {order.id for order in many[3:]}
    assert found(created_before_time=middle) == {order.id for order in many[:3]}
    window = {"created_after_time": middle, "created_before_time": many[6].created_time}
    assert found(**window) == {order.id for order in many[3:6]}


def test_an_empty_page_is_a_page(tier: RunningTier) -> None:
    answer = listed(tier)
    assert (list(answer.orders), answer.page.total, answer.page.next_cursor) == ([], 0, "")


def test_a_cursor_fits_its_own_list_only(tier: RunningTier, many: list[order_pb2.Order]) -> None:
    cursor = listed(tier, page=PageRequest(page_size=2)).page.next_cursor
    others = [
        messages.ListOrdersRequest(sort=messages.ORDER_SORT_FIELD_UPDATED_TIME),
        messages.ListOrdersRequest(page=PageRequest(descending=True)),
        messages.ListOrdersRequest(filter=messages.OrderFilter(user_id=many[0].user_id)),
    ]
    for request in others:
        request.page.cursor = cursor
        assert bad_fields(tier.orders.ListOrders, request) == {"cursor"}


def test_what_makes_no_sense_in_a_list_is_a_field_error(tier: RunningTier) -> None:
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({"page": PageRequest(page_size=101, page=-1)}, {"page_size", "page"}),
        ({"page": PageRequest(cursor="???")}, {"cursor"}),
        ({"sort": 77}, {"sort"}),
        ({"filter": messages.OrderFilter(user_id="x")}, {"filter.user_id"}),
    ]
    for fields, bad in cases:
        request = messages.ListOrdersRequest(**fields)
        assert bad_fields(tier.orders.ListOrders, request) == bad
    request = messages.ListOrdersRequest()
    request.filter.status = 9  # type: ignore[assignment]  # wrong on purpose
    request.filter.created_after_time.seconds = 10**15
    bad = {"filter.status", "filter.created_after_time"}
    assert bad_fields(tier.orders.ListOrders, request) == bad


@pytest.mark.parametrize(
    ("condition", "columns", "index"),
    [
        ("", "created_time, id", "ix_orders_created_time_id"),
        ("", "updated_time, id", "ix_orders_updated_time_id"),
        ("status = 'paid'", "created_time, id", "ix_orders_status_created_time_id"),
        ("status = 'paid'", "updated_time, id", "ix_orders_status_updated_time_id"),
        ("user_id = 'x'", "created_time, id", "ix_orders_user_id_created_time_id"),
    ],
)
def test_each_order_of_the_list_has_an_index_to_walk(
    tier: RunningTier, condition: str, columns: str, index: str
) -> None:
    where = f"WHERE {condition}" if condition else ""
    ordered = f"{where} ORDER BY {columns} LIMIT 3"
    if tier.engine.dialect.name in MYSQL_DIALECTS:
        # An optimizer that sees an empty table would rather sort it.
        query = f"SELECT * FROM orders FORCE INDEX ({index}) {ordered}"  # noqa: S608 - the test's own
        (plan,) = tier.rows(text(f"EXPLAIN FORMAT=TRADITIONAL {query}"))
        assert plan["key"] == index
        assert "filesort" not in (plan["Extra"] or "")
    else:
        query = f"SELECT * FROM orders {ordered}"  # noqa: S608 - the test's own
        plans = " ".join(row["detail"] for row in tier.rows(text(f"EXPLAIN QUERY PLAN {query}")))
        assert f"USING INDEX {index}" in plans
        assert "TEMP B-TREE" not in plans
