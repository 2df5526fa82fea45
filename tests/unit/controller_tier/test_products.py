from __future__ import annotations

from typing import Any

import pytest

from arcana.service.v1.product_pb2 import (
    PRODUCT_STATUS_ARCHIVED,
    PRODUCT_STATUS_DRAFT,
    PRODUCT_STATUS_INACTIVE,
)
from arcana.service.v1.product_service_pb2 import PRODUCT_SORT_FIELD_PRICE
from tests.unit.controller_tier.edge import Edge, problem_of
from tier_runtime.errors import AppError, Kind
from tier_runtime.validation import invalid

UNKNOWN = "019adf5e-7a3c-7b52-9c1e-3f0a8d5e6b71"
GEAR = {"name": "Brass gear", "price": "19.99"}


@pytest.fixture
def admin(edge: Edge) -> str:
    return edge.signed_in("admin", email="root@example.org")[1]


def test_everybody_reads_an_active_product_and_only_admins_another(edge: Edge, admin: str) -> None:
    gear = edge.tier.add_product(description="Twelve teeth", stock=3, category="gears")
    hidden = edge.tier.add_product(status=PRODUCT_STATUS_INACTIVE)
    _, ada = edge.signed_in()
    answer = edge.call("GET", f"products/{gear.id.upper()}")
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"v1"')
    assert answer.json == {
        "id": gear.id,
        "name": "Brass gear",
        "description": "Twelve teeth",
        "price": "19.99",
        "currency": "USD",
        "stock": 3,
        "low_stock_threshold": 0,
        "category": "gears",
        "status": "active",
        "created_at": answer.json["created_at"],
        "updated_at": answer.json["updated_at"],
    }
    assert answer.json["created_at"].endswith("Z")
    for token in ("", ada):
        missing = edge.call("GET", f"products/{hidden.id}", token=token)
        problem_of(missing, 404, "PRODUCT_NOT_FOUND")
    assert edge.call("GET", f"products/{hidden.id}", token=admin).json["status"] == "inactive"


@pytest.mark.parametrize("path", ["products", "products/search?q=x", "products/{id}"])
def test_where_no_token_is_needed_a_bad_one_is_still_refused(edge: Edge, path: str) -> None:
    gear = edge.tier.add_product()
    where = path.format(id=gear.id)
    assert edge.call("GET", where).status_code == 200
    problem_of(edge.call("GET", where, token="made.up"), 401, "INVALID_TOKEN")
    user, token = edge.signed_in()
    edge.tier.end_sessions_of(user.id)
    edge.feed.poll()
    problem_of(edge.call("GET", where, token=token), 401, "TOKEN_REVOKED")


def test_a_product_that_the_client_has_is_not_sent_again(edge: Edge) -> None:
    gear = edge.tier.add_product()
    answer = edge.call("GET", f"products/{gear.id}", headers={"If-None-Match": '"v1"'})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", '"v1"')


def test_filters_and_order_reach_the_service_tier(edge: Edge) -> None:
    query = (
        "products?category=gears&status=draft&min_price=0.5&max_price=20&in_stock=false"
        "&sort=price&order=desc&size=7&page=3"
    )
    assert edge.call("GET", query).status_code == 200
    sent = edge.tier.last("ListProducts").request
    assert (sent.filter.category, sent.filter.status) == ("gears", PRODUCT_STATUS_DRAFT)
    assert (sent.filter.min_price_minor, sent.filter.max_price_minor) == (50, 2000)
    assert sent.filter.HasField("in_stock")
    assert sent.filter.in_stock is False
    assert sent.sort == PRODUCT_SORT_FIELD_PRICE
    assert (sent.page.page_size, sent.page.page, sent.page.descending) == (7, 3, True)


def test_a_list_without_filters_names_none(edge: Edge) -> None:
    edge.tier.add_product()
    page = edge.call("GET", "products").json
    assert (page["total"], page["data"][0]["name"]) == (1, "Brass gear")
    sent = edge.tier.last("ListProducts").request.filter
    for name in ("min_price_minor", "max_price_minor", "in_stock"):
        assert not sent.HasField(name)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("min_price=19.999", "min_price"),
        ("max_price=-1", "max_price"),
        ("max_price=10000000000.01", "max_price"),
        ("in_stock=1", "in_stock"),
        ("status=gone", "status"),
        ("sort=stock", "sort"),
        ("category=", "category"),
        ("page=x", "page"),
        ("limit=5", "limit"),
        # What it is called behind the edge is unknown here.
        ("query=x", "query"),
        ("min_price_minor=1", "min_price_minor"),
    ],
)
def test_a_bad_query_is_a_field_error(edge: Edge, query: str, field: str) -> None:
    answer = edge.call("GET", f"products?{query}")
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {field}


def test_a_search_gives_matches_and_no_page(edge: Edge) -> None:
    edge.tier.add_product("Brass gear")
    edge.tier.add_product("Steel gear")
    edge.tier.add_product("Brass screw", status=PRODUCT_STATUS_DRAFT)
    answer = edge.call("GET", "products/search?q=gear&max_price=20&limit=5")
    assert answer.status_code == 200
    assert [each["name"] for each in answer.json.pop("data")] == ["Brass gear", "Steel gear"]
    assert answer.json.keys() == {"data"}
    sent = edge.tier.last("SearchProducts").request
    assert (sent.query, sent.limit, sent.filter.max_price_minor) == ("gear", 5, 2000)
    assert edge.call("GET", "products/search?q=screw").json == {"data": []}
    assert edge.tier.last("SearchProducts").request.limit == 20


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "q"),
        ("q=", "q"),
        ("q=x&limit=0", "limit"),
        ("q=x&limit=101", "limit"),
        ("q=x&page=1", "page"),
    ],
)
def test_a_bad_search_is_a_field_error(edge: Edge, query: str, field: str) -> None:
    answer = edge.call("GET", f"products/search?{query}")
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {field}


def test_a_search_that_fails_midway_is_a_problem(edge: Edge) -> None:
    edge.tier.add_product()

    def fail(method: str) -> None:
        if method == "SearchProducts.next":
            raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Gone.")

    edge.tier.before = fail
    problem_of(edge.call("GET", "products/search?q=gear"), 503, "SERVICE_UNAVAILABLE")


def test_an_admin_makes_a_product_once(edge: Edge, admin: str) -> None:
    body = GEAR | {"price": 19.9, "stock": 5, "low_stock_threshold": 2, "category": "gears"}
    answer = edge.call("POST", "products", body, token=admin, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.headers["ETag"]) == (201, '"v1"')
    made = answer.json
    assert answer.headers["Location"] == f"/api/v1/products/{made['id']}"
    assert (made["price"], made["currency"], made["status"]) == ("19.90", "USD", "draft")
    assert (made["stock"], made["low_stock_threshold"], made["category"]) == (5, 2, "gears")
    assert made["description"] is None
    again = edge.call("POST", "products", body, token=admin, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.headers["Idempotent-Replay"]) == (201, "true")
    assert again.data == answer.data
    other = edge.call(
        "POST", "products", body | {"stock": 6}, token=admin, headers={"Idempotency-Key": "k"}
    )
    problem_of(other, 422, "IDEMPOTENCY_KEY_REUSED")
    assert len(edge.tier.products) == 1


@pytest.mark.parametrize(
    ("price", "minor"),
    [("19.99", 1999), ("19.9", 1990), (19.9, 1990), (20, 2000), (0, 0)],
    ids=repr,
)
def test_a_price_is_a_text_or_a_number(edge: Edge, admin: str, price: Any, minor: int) -> None:
    answer = edge.call("POST", "products", GEAR | {"price": price}, token=admin)
    assert answer.status_code == 201
    assert edge.tier.last("CreateProduct").request.price_minor == minor


BAD: dict[str, list[Any]] = {
    "price": ["19.999", 19.999, -1, "-0.01", "1e2", 1e11, True, None, []],
    "name": ["", " ", "n" * 256, 5, None],
    "currency": ["usd", "US", "USDX", "U\u00d6D", None, 840],
    "stock": [-1, 1_000_000_001, 1.0, "5", True, None],
    "low_stock_threshold": [-1, 1_000_000_001, 0.5],
    "category": ["c" * 101, "a\nb", 5],
    "description": ["d" * 5001, "\u0000", 5],
    "status": ["gone", "", None],
    "version": [1],
    "id": [UNKNOWN],
}
BAD_MEMBERS = [(field, value) for field, values in BAD.items() for value in values]


@pytest.mark.parametrize(("field", "value"), BAD_MEMBERS, ids=range(len(BAD_MEMBERS)))
def test_a_bad_member_is_named(edge: Edge, admin: str, field: str, value: Any) -> None:
    answer = edge.call("POST", "products", GEAR | {field: value}, token=admin)
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {field}
    assert not edge.tier.products


def test_put_gives_back_what_is_absent_as_in_a_new_product(edge: Edge, admin: str) -> None:
    gear = edge.tier.add_product(
        description="Old", category="gears", low_stock_threshold=9, currency_code="EUR", stock=4
    )
    answer = edge.call("PUT", f"products/{gear.id}", {"name": "Cog", "price": 5}, token=admin)
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"v2"')
    kept = {"description", "category", "low_stock_threshold", "currency", "status", "stock"}
    assert {name: answer.json[name] for name in kept} == {
        "description": None,
        "category": None,
        "low_stock_threshold": 0,
        "currency": "USD",
        "status": "draft",
        "stock": 4,
    }
    problem_of(
        edge.call("PUT", f"products/{gear.id}", {"name": "Cog"}, token=admin),
        400,
        "VALIDATION_FAILED",
    )


def test_patch_changes_what_it_names_and_null_clears(edge: Edge, admin: str) -> None:
    gear = edge.tier.add_product(description="Old", category="gears", low_stock_threshold=9)
    body = {"price": "0.05", "category": None, "low_stock_threshold": None}
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = edge.call("PATCH", f"products/{gear.id}", body, token=admin, headers=headers)
    assert answer.status_code == 200
    changed = answer.json
    assert (changed["price"], changed["category"], changed["low_stock_threshold"]) == (
        "0.05",
        None,
        0,
    )
    assert (changed["name"], changed["description"], changed["status"]) == (
        "Brass gear",
        "Old",
        "active",
    )
    sent = edge.tier.last("UpdateProduct").request
    given = {name for name in ("name", "description", "currency_code") if sent.HasField(name)}
    assert given == set()


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_the_stock_is_not_changed_like_other_members(edge: Edge, admin: str, method: str) -> None:
    gear = edge.tier.add_product()
    answer = edge.call(method, f"products/{gear.id}", GEAR | {"stock": 5}, token=admin)
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {"stock"}


@pytest.mark.parametrize("field", ["name", "price", "currency", "status"])
def test_a_patch_cannot_remove_what_a_product_needs(edge: Edge, admin: str, field: str) -> None:
    gear = edge.tier.add_product()
    answer = edge.call("PATCH", f"products/{gear.id}", {field: None}, token=admin)
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {field}


def test_a_deleted_product_is_archived(edge: Edge, admin: str) -> None:
    gear = edge.tier.add_product()
    for _ in range(2):
        answer = edge.call("DELETE", f"products/{gear.id}", token=admin)
        assert (answer.status_code, answer.data) == (204, b"")
    assert gear.status == PRODUCT_STATUS_ARCHIVED
    problem_of(edge.call("GET", f"products/{gear.id}"), 404, "PRODUCT_NOT_FOUND")


WRITES = [
    ("PUT", "products/{id}", GEAR),
    ("PATCH", "products/{id}", {"name": "Cog"}),
    ("PATCH", "products/{id}/stock", {"quantity_change": 1}),
    ("DELETE", "products/{id}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_write_is_made_on_the_version_that_it_names(method: str, path: str, body: Any) -> None:
    edge = Edge.make(require_if_match=True)
    _, admin = edge.signed_in("admin")
    where = path.format(id=edge.tier.add_product().id)

    def write(**headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return edge.call(method, where, body, token=admin, headers=named)

    problem_of(write(), 428, "PRECONDITION_REQUIRED")
    problem_of(write(If_Match='"v2"'), 412, "PRECONDITION_FAILED")
    problem_of(write(If_Match='"v2", "v3"'), 412, "PRECONDITION_FAILED")
    assert write(If_Match='"v1", "v3"').status_code < 300
    missing = edge.call(
        method, path.format(id=UNKNOWN), body, token=admin, headers={"If-Match": "*"}
    )
    problem_of(missing, 404, "PRODUCT_NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        *WRITES,
        ("POST", "products", GEAR),
        (
            "POST",
            "products/stock/batch",
            {"changes": [{"product_id": UNKNOWN, "quantity_change": 1}]},
        ),
        ("GET", "products/{id}/stock/movements", None),
    ],
)
def test_admins_rows_are_closed_to_others(edge: Edge, method: str, path: str, body: Any) -> None:
    where = path.format(id=edge.tier.add_product().id)
    _, token = edge.signed_in()
    problem_of(edge.call(method, where, body, token=token), 403, "FORBIDDEN")
    problem_of(edge.call(method, where, body), 401, "UNAUTHENTICATED")


def test_stock_is_changed_once_for_one_key_and_never_below_nothing(edge: Edge, admin: str) -> None:
    gear = edge.tier.add_product(stock=3)
    path, key = f"products/{gear.id}/stock", {"Idempotency-Key": "k"}
    body = {"quantity_change": -2, "reason": " broken "}
    first = edge.call("PATCH", path, body, token=admin, headers=key)
    again = edge.call("PATCH", path, body, token=admin, headers=key)
    assert (first.status_code, first.json["stock"], first.headers["ETag"]) == (200, 1, '"v2"')
    assert (again.status_code, again.headers["Idempotent-Replay"]) == (200, "true")
    assert (again.data, again.headers["ETag"]) == (first.data, '"v2"')
    assert "Idempotent-Replay" not in first.headers
    assert edge.tier.movements[gear.id][-1].reason == "broken"
    answer = edge.call("PATCH", path, {"quantity_change": -2}, token=admin)
    problem = problem_of(answer, 409, "INSUFFICIENT_STOCK")
    assert problem["errors"] == {
        "quantity_change": [f"Product {gear.id}: 1 available, 2 asked for."]
    }
    assert gear.stock == 1


@pytest.mark.parametrize("change", [0, 1.5, "1", True, None, 1_000_000_001, -1_000_000_001])
def test_a_change_is_a_whole_number_and_not_none(edge: Edge, admin: str, change: Any) -> None:
    gear = edge.tier.add_product()
    body = {"quantity_change": change}
    answer = edge.call("PATCH", f"products/{gear.id}/stock", body, token=admin)
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {"quantity_change"}


def test_a_batch_is_one_stream_each_change_of_which_goes_by_itself(edge: Edge, admin: str) -> None:
    gear, cog = edge.tier.add_product(stock=5), edge.tier.add_product("Cog")
    changes = [
        {"product_id": gear.id.upper(), "quantity_change": -4, "reason": "sold"},
        {"product_id": gear.id, "quantity_change": -4},
        {"product_id": UNKNOWN, "quantity_change": 1},
        {"product_id": cog.id, "quantity_change": 7, "reason": None},
    ]

    def send() -> Any:
        headers = {"Idempotency-Key": "k"}
        return edge.call(
            "POST", "products/stock/batch", {"changes": changes}, token=admin, headers=headers
        )

    first, again = send(), send()
    assert first.status_code == 200
    assert (first.json["success_count"], first.json["failure_count"]) == (2, 2)
    assert [(each["index"], each["product_id"], each["code"]) for each in first.json["errors"]] == [
        (1, gear.id, "INSUFFICIENT_STOCK"),
        (2, UNKNOWN, "PRODUCT_NOT_FOUND"),
    ]
    assert all(each["message"] for each in first.json["errors"])
    assert (gear.stock, cog.stock) == (1, 7)
    assert (again.data, again.headers["Idempotent-Replay"]) == (first.data, "true")
    assert edge.tier.last("BatchUpdateStock").request.request_id == "k"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ([], "changes"),
        (None, "changes"),
        ([{"product_id": UNKNOWN, "quantity_change": 1}] * 1001, "changes"),
        ([5], "changes.0"),
        ([{"product_id": 7, "quantity_change": 1}], "changes.0.product_id"),
        ([{"product_id": None, "quantity_change": 1}], "changes.0.product_id"),
        ([{"quantity_change": 1}], "changes.0.product_id"),
        ([{"product_id": UNKNOWN, "quantity_change": "1"}], "changes.0.quantity_change"),
        ([{"product_id": UNKNOWN, "quantity_change": 1.0}], "changes.0.quantity_change"),
        ([{"product_id": UNKNOWN, "quantity_change": True}], "changes.0.quantity_change"),
        ([{"product_id": UNKNOWN, "quantity_change": 1, "reason": 1}], "changes.0.reason"),
        ([{"product_id": UNKNOWN}], "changes.0.quantity_change"),
        ([{"product_id": UNKNOWN, "quantity_change": 1, "x": 1}], "changes.0.x"),
    ],
)
def test_a_batch_of_another_shape_is_refused_whole(
    edge: Edge, admin: str, changes: Any, field: str
) -> None:
    answer = edge.call("POST", "products/stock/batch", {"changes": changes}, token=admin)
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {field}
    assert "BatchUpdateStock" not in edge.tier.methods()


def test_what_a_change_means_refuses_no_other_one(edge: Edge, admin: str) -> None:
    gear = edge.tier.add_product()
    good = {"product_id": gear.id, "quantity_change": 1}
    bad = (
        {"product_id": "7"},
        {"product_id": ""},
        {"product_id": "\u0000" * 300},
        {"quantity_change": 0},
        {"quantity_change": 2**63 - 1},
        {"quantity_change": -(2**63)},
        {"reason": "x" * 256},
    )
    changes = [good, *(good | each for each in bad), good]
    answer = edge.call("POST", "products/stock/batch", {"changes": changes}, token=admin)
    assert answer.status_code == 200
    assert (answer.json["success_count"], answer.json["failure_count"]) == (2, len(bad))
    assert [(each["index"], each["code"]) for each in answer.json["errors"]] == [
        (number, "VALIDATION_FAILED") for number in range(1, len(bad) + 1)
    ]
    assert gear.stock == 2


def test_an_integer_that_no_message_can_carry_is_no_json_of_ours(edge: Edge, admin: str) -> None:
    changes = f'[{{"product_id": "{UNKNOWN}", "quantity_change": {2**63}}}]'
    answer = edge.call(
        "POST",
        "products/stock/batch",
        data=f'{{"changes": {changes}}}'.encode(),
        token=admin,
        headers={"Content-Type": "application/json"},
    )
    problem_of(answer, 400, "MALFORMED_BODY")


def test_the_first_message_of_a_batch_tells_of_all(edge: Edge, admin: str) -> None:
    gear = edge.tier.add_product()
    change = {"product_id": gear.id, "quantity_change": 1}
    digests = set()
    bodies = ([change], [change] * 2, [change, change | {"reason": "x"}])
    for changes in bodies:
        edge.call("POST", "products/stock/batch", {"changes": changes}, token=admin)
        sent = edge.tier.last("BatchUpdateStock").request
        assert sent.change_count == len(changes)
        assert len(sent.changes_sha256) == 32
        digests.add(sent.changes_sha256)
    assert len(digests) == len(bodies)


def test_a_key_is_bound_to_the_whole_body_of_a_batch(edge: Edge, admin: str) -> None:
    gear = edge.tier.add_product()
    changes = [{"product_id": gear.id, "quantity_change": 1} for _ in range(150)]

    def send(changes: list[dict[str, Any]]) -> Any:
        return edge.call(
            "POST",
            "products/stock/batch",
            {"changes": changes},
            token=admin,
            headers={"Idempotency-Key": "k"},
        )

    first = send(changes)
    for others in (
        changes[:100],
        changes + changes[:50],
        [*changes[:-1], changes[0] | {"reason": "x"}],
    ):
        problem_of(send(others), 422, "IDEMPOTENCY_KEY_REUSED")
    again = send(changes)
    assert (again.data, again.headers["Idempotent-Replay"]) == (first.data, "true")
    assert gear.stock == 150


def test_a_batch_of_the_largest_size_passes(edge: Edge, admin: str) -> None:
    gear = edge.tier.add_product()
    changes = [{"product_id": gear.id, "quantity_change": 1}] * 1000
    answer = edge.call("POST", "products/stock/batch", {"changes": changes}, token=admin)
    assert answer.json == {"success_count": 1000, "failure_count": 0, "errors": []}
    assert gear.stock == 1000


def test_the_ledger_is_a_list_of_its_own(edge: Edge, admin: str) -> None:
    gear = edge.tier.add_product(stock=5)
    order_id = edge.tier.new_id()
    edge.tier.move(gear, -2, "order_placed", order_id)
    edge.tier.move(gear, 1, "")
    path = f"products/{gear.id}/stock/movements"
    page = edge.call("GET", f"{path}?sort=created_at&order=asc", token=admin).json
    assert [
        (each["quantity_change"], each["reason"], each["order_id"]) for each in page["data"]
    ] == [(5, "initial", None), (-2, "order_placed", order_id), (1, None, None)]
    assert page["data"][0].keys() == {"id", "quantity_change", "reason", "order_id", "created_at"}
    assert page["total"] == 3
    newest = edge.call("GET", f"{path}?order=desc&size=1", token=admin).json
    assert newest["data"] == [page["data"][2]]
    missing = edge.call("GET", f"products/{UNKNOWN}/stock/movements", token=admin)
    problem_of(missing, 404, "PRODUCT_NOT_FOUND")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
def test_the_search_is_no_product(edge: Edge, admin: str, method: str) -> None:
    answer = edge.call(method, "products/search", {}, token=admin)
    problem_of(answer, 405, "METHOD_NOT_ALLOWED")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_fields_have_the_names_of_the_edge(edge: Edge, admin: str) -> None:
    names = {
        "currency_code": "currency",
        "price_minor": "price",
        "product_id": "id",
        "filter.min_price_minor": "min_price",
        "filter.max_price_minor": "max_price",
        "query": "q",
        "low_stock_threshold": "low_stock_threshold",
    }
    edge.tier.failures["CreateProduct"] = invalid({name: ["Bad."] for name in names})
    answer = edge.call("POST", "products", GEAR, token=admin)
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == set(names.values())
