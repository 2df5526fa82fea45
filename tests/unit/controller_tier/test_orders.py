from __future__ import annotations

from typing import Any

import pytest

from arcana.service.v1.order_pb2 import ORDER_STATUS_PAID, Order
from arcana.service.v1.order_service_pb2 import ORDER_SORT_FIELD_UPDATED_TIME
from arcana.service.v1.product_pb2 import PRODUCT_STATUS_DRAFT
from arcana.service.v1.user_pb2 import User
from tests.unit.controller_tier.edge import Edge, problem_of
from tier_runtime.validation import invalid

UNKNOWN = "019adf5e-7a3c-7b52-9c1e-3f0a8d5e6b71"


@pytest.fixture
def admin(edge: Edge) -> str:
    return edge.signed_in("admin", email="root@example.org")[1]


@pytest.fixture
def ada(edge: Edge) -> tuple[User, str]:
    return edge.signed_in()


def _placed(edge: Edge, token: str) -> Order:
    gear = edge.tier.add_product(stock=10)
    body = {"items": [{"product_id": gear.id, "quantity": 2}]}
    return edge.tier.orders[edge.call("POST", "orders", body, token=token).json["id"]]


def test_an_order_is_placed_once_for_one_key(edge: Edge, ada: tuple[User, str]) -> None:
    user, token = ada
    gear, cog = edge.tier.add_product(stock=10), edge.tier.add_product("Cog", stock=1)
    lines = [{"product_id": gear.id.upper(), "quantity": 2}, {"product_id": cog.id, "quantity": 1}]
    key = {"Idempotency-Key": "k"}
    answer = edge.call("POST", "orders", {"items": lines}, token=token, headers=key)
    assert (answer.status_code, answer.headers["ETag"]) == (201, '"v1"')
    order = answer.json
    assert answer.headers["Location"] == f"/api/v1/orders/{order['id']}"
    assert order == {
        "id": order["id"],
        "user_id": user.id,
        "status": "pending",
        "items": [
            {
                "product_id": gear.id,
                "name": "Brass gear",
                "quantity": 2,
                "unit_price": "19.99",
                "discount": "0.00",
                "line_total": "39.98",
            },
            {
                "product_id": cog.id,
                "name": "Cog",
                "quantity": 1,
                "unit_price": "19.99",
                "discount": "0.00",
                "line_total": "19.99",
            },
        ],
        "subtotal": "59.97",
        "discount": "0.00",
        "total": "59.97",
        "currency": "USD",
        "pricing": "regular",
        "created_at": order["created_at"],
        "updated_at": order["updated_at"],
    }
    again = edge.call("POST", "orders", {"items": lines}, token=token, headers=key)
    assert (again.status_code, again.headers["Idempotent-Replay"]) == (201, "true")
    assert (again.data, again.headers["Location"]) == (answer.data, answer.headers["Location"])
    reused = edge.call("POST", "orders", {"items": lines[:1]}, token=token, headers=key)
    problem_of(reused, 422, "IDEMPOTENCY_KEY_REUSED")
    assert (gear.stock, cog.stock) == (8, 0)


def test_too_few_units_are_told_line_by_line(edge: Edge, ada: tuple[User, str]) -> None:
    gear, cog = edge.tier.add_product(stock=3), edge.tier.add_product("Cog", stock=9)
    lines = [
        {"product_id": gear.id, "quantity": 2},
        {"product_id": cog.id, "quantity": 1},
        {"product_id": gear.id, "quantity": 2},
    ]
    answer = edge.call("POST", "orders", {"items": lines}, token=ada[1])
    told = [f"Product {gear.id}: 3 available, 4 asked for."]
    assert problem_of(answer, 409, "INSUFFICIENT_STOCK")["errors"] == {
        "items.0.quantity": told,
        "items.2.quantity": told,
    }
    assert (gear.stock, cog.stock) == (3, 9)


def test_what_is_not_for_sale_is_missing(edge: Edge, ada: tuple[User, str]) -> None:
    draft = edge.tier.add_product(stock=3, status=PRODUCT_STATUS_DRAFT)
    for product_id in (draft.id, UNKNOWN):
        body = {"items": [{"product_id": product_id, "quantity": 1}]}
        problem_of(edge.call("POST", "orders", body, token=ada[1]), 404, "PRODUCT_NOT_FOUND")


LINE: dict[str, Any] = {"product_id": UNKNOWN, "quantity": 1}


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([], "items"),
        (None, "items"),
        ({}, "items"),
        ([LINE] * 101, "items"),
        ([LINE, LINE | {"quantity": 0}], "items.1.quantity"),
        ([LINE | {"quantity": 1001}], "items.0.quantity"),
        ([LINE | {"quantity": 1.0}], "items.0.quantity"),
        ([LINE | {"quantity": True}], "items.0.quantity"),
        ([LINE | {"quantity": "1"}], "items.0.quantity"),
        ([{"quantity": 1}], "items.0.product_id"),
        ([LINE | {"product_id": UNKNOWN[:-1]}], "items.0.product_id"),
        ([LINE | {"product_id": 7}], "items.0.product_id"),
        # What it costs is not the client's to say.
        ([LINE | {"unit_price": "0.01"}], "items.0.unit_price"),
    ],
)
def test_a_bad_line_is_named(edge: Edge, ada: tuple[User, str], items: Any, field: str) -> None:
    answer = edge.call("POST", "orders", {"items": items}, token=ada[1])
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {field}
    assert "PlaceOrder" not in edge.tier.methods()


@pytest.mark.parametrize("field", ["total", "pricing", "discount", "user_id", "currency"])
def test_nothing_but_lines_can_be_sent(edge: Edge, ada: tuple[User, str], field: str) -> None:
    answer = edge.call("POST", "orders", {"items": [LINE], field: "premium"}, token=ada[1])
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {field}


def test_an_order_of_somebody_else_does_not_exist(
    edge: Edge, ada: tuple[User, str], admin: str
) -> None:
    order = _placed(edge, ada[1])
    _, eve = edge.signed_in(email="eve@example.org")
    path = f"orders/{order.id}"
    problem_of(edge.call("GET", path, token=eve), 404, "ORDER_NOT_FOUND")
    problem_of(edge.call("POST", f"{path}/cancel", token=eve), 404, "ORDER_NOT_FOUND")
    assert edge.call("GET", "orders", token=eve).json["data"] == []
    for token in (ada[1], admin):
        assert edge.call("GET", path, token=token).json["id"] == order.id
        assert [each["id"] for each in edge.call("GET", "orders", token=token).json["data"]] == [
            order.id
        ]


def test_an_order_that_the_client_has_is_not_sent_again(edge: Edge, ada: tuple[User, str]) -> None:
    order = _placed(edge, ada[1])
    headers = {"If-None-Match": '"v1"'}
    answer = edge.call("GET", f"orders/{order.id}", token=ada[1], headers=headers)
    assert (answer.status_code, answer.data) == (304, b"")


def test_filters_and_order_reach_the_service_tier(edge: Edge, admin: str) -> None:
    query = (
        f"orders?status=paid&user_id={UNKNOWN.upper()}&sort=updated_at&order=desc&size=3"
        "&created_after=2026-01-02T03:04:05Z&created_before=2026-02-01T00:00:00Z"
    )
    assert edge.call("GET", query, token=admin).status_code == 200
    sent = edge.tier.last("ListOrders").request
    assert (sent.filter.status, sent.filter.user_id) == (ORDER_STATUS_PAID, UNKNOWN)
    assert sent.filter.created_after_time.ToJsonString() == "2026-01-02T03:04:05Z"
    assert sent.filter.created_before_time.ToJsonString() == "2026-02-01T00:00:00Z"
    assert (sent.sort, sent.page.descending) == (ORDER_SORT_FIELD_UPDATED_TIME, True)
    assert edge.call("GET", "orders", token=admin).status_code == 200
    bare = edge.tier.last("ListOrders").request.filter
    assert (bare.user_id, bare.HasField("created_after_time")) == ("", False)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=gone", "status"),
        ("user_id=7", "user_id"),
        ("sort=total", "sort"),
        ("created_after=now", "created_after"),
        ("surprise=1", "surprise"),
    ],
)
def test_a_bad_query_is_a_field_error(
    edge: Edge, ada: tuple[User, str], query: str, field: str
) -> None:
    answer = edge.call("GET", f"orders?{query}", token=ada[1])
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {field}


def test_a_filter_of_users_keeps_its_name_and_the_path_has_an_id(
    edge: Edge, ada: tuple[User, str]
) -> None:
    edge.tier.failures["ListOrders"] = invalid({"filter.user_id": ["Bad."], "order_id": ["Bad."]})
    answer = edge.call("GET", "orders", token=ada[1])
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {"user_id", "id"}


def test_a_cancelled_order_gives_its_units_back_once(edge: Edge, ada: tuple[User, str]) -> None:
    order = _placed(edge, ada[1])
    gear = edge.tier.product(order.items[0].product_id)
    answer = edge.call("POST", f"orders/{order.id}/cancel", token=ada[1])
    assert (answer.status_code, answer.json["status"]) == (200, "cancelled")
    assert answer.headers["ETag"] == '"v2"'
    again = edge.call("POST", f"orders/{order.id}/cancel", token=ada[1])
    problem_of(again, 409, "INVALID_STATE")
    assert gear.stock == 10


def test_an_order_goes_on_step_by_step(edge: Edge, ada: tuple[User, str], admin: str) -> None:
    order = _placed(edge, ada[1])
    path = f"orders/{order.id}/status"
    problem_of(edge.call("PATCH", path, {"status": "paid"}, token=ada[1]), 403, "FORBIDDEN")
    problem_of(edge.call("PATCH", path, {"status": "shipped"}, token=admin), 409, "INVALID_STATE")
    for status, tag in (("paid", '"v2"'), ("shipped", '"v3"'), ("delivered", '"v4"')):
        answer = edge.call("PATCH", path, {"status": status}, token=admin)
        assert (answer.json["status"], answer.headers["ETag"]) == (status, tag)
    problem_of(edge.call("PATCH", path, {"status": "gone"}, token=admin), 400, "VALIDATION_FAILED")


def test_a_status_is_set_on_the_version_that_is_named() -> None:
    edge = Edge.make(require_if_match=True)
    _, admin = edge.signed_in("admin")
    path = f"orders/{_placed(edge, admin).id}/status"

    def move(tag: str = "") -> Any:
        headers = {"If-Match": tag} if tag else {}
        return edge.call("PATCH", path, {"status": "paid"}, token=admin, headers=headers)

    problem_of(move(), 428, "PRECONDITION_REQUIRED")
    problem_of(move('"v7"'), 412, "PRECONDITION_FAILED")
    problem_of(move('"v7", "v8"'), 412, "PRECONDITION_FAILED")
    assert move('"v1", "v8"').status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "orders", {"items": [LINE]}),
        ("GET", "orders", None),
        ("GET", f"orders/{UNKNOWN}", None),
        ("POST", f"orders/{UNKNOWN}/cancel", None),
        ("PATCH", f"orders/{UNKNOWN}/status", {"status": "paid"}),
    ],
)
def test_orders_need_a_token(edge: Edge, method: str, path: str, body: Any) -> None:
    problem_of(edge.call(method, path, body), 401, "UNAUTHENTICATED")
