from __future__ import annotations

from typing import Any

import pytest

from arcana.service.v1.user_pb2 import USER_STATUS_INACTIVE, USER_STATUS_SUSPENDED
from arcana.service.v1.user_service_pb2 import (
    USER_SORT_FIELD_CREATED_TIME,
    USER_SORT_FIELD_NAME,
)
from tests.unit.controller_tier.edge import Edge, problem_of

UNKNOWN = "019adf5e-7a3c-7b52-9c1e-3f0a8d5e6b71"
GRACE = {"name": "Grace", "email": "grace@example.org", "password": "Correct-Horse-7"}


@pytest.fixture
def admin(edge: Edge) -> str:
    return edge.signed_in("admin", email="root@example.org")[1]


def test_a_page_tells_where_it_stands(edge: Edge, admin: str) -> None:
    for number in range(11):
        edge.tier.add_user(f"u{number}@example.org", name=f"User {number:02}")
    first = edge.call("GET", "users?size=5&sort=name", token=admin).json
    assert [user["name"] for user in first["data"]][:2] == ["Ada Lovelace", "User 00"]
    assert {name: first[name] for name in first if name != "data"} == {
        "page": 0,
        "size": 5,
        "total": 12,
        "total_pages": 3,
        "has_next": True,
        "has_previous": False,
        "next_cursor": first["next_cursor"],
    }
    last = edge.call("GET", "users?size=5&page=2", token=admin).json
    assert (last["has_next"], last["has_previous"], last["next_cursor"]) == (False, True, None)
    assert len(last["data"]) == 2
    beyond = edge.call("GET", "users?size=5&page=7", token=admin).json
    assert (beyond["data"], beyond["has_next"], beyond["total"]) == ([], False, 12)


def test_a_cursor_walks_every_page_without_counting(edge: Edge, admin: str) -> None:
    for number in range(5):
        edge.tier.add_user(f"u{number}@example.org", name=f"User {number}")
    found: list[str] = []
    path = "users?size=2&sort=name"
    page: dict[str, Any] = edge.call("GET", path, token=admin).json
    while True:
        found += [user["name"] for user in page["data"]]
        if not page["has_next"]:
            break
        page = edge.call("GET", f"{path}&cursor={page['next_cursor']}", token=admin).json
        assert (page["page"], page["total"], page["total_pages"]) == (None, None, None)
        assert page["has_previous"]
    assert found == ["Ada Lovelace", *(f"User {number}" for number in range(5))]


def test_filters_and_order_reach_the_service_tier(edge: Edge, admin: str) -> None:
    query = (
        "users?status=suspended&role=premium&search=caf%C3%A9&sort=name&order=desc&size=7&page=3"
        "&created_after=2026-01-02T03:04:05.678901%2B01:00&created_before=2026-02-01t00:00:00z"
    )
    assert edge.call("GET", query, token=admin).status_code == 200
    sent = edge.tier.last("ListUsers").request
    assert sent.filter.status == USER_STATUS_SUSPENDED
    assert (sent.filter.role, sent.filter.search) == ("premium", "café")
    after = sent.filter.created_after_time
    assert after.ToJsonString() == "2026-01-02T02:04:05.678901Z"
    assert sent.filter.created_before_time.ToJsonString() == "2026-02-01T00:00:00Z"
    assert sent.sort == USER_SORT_FIELD_NAME
    assert (sent.page.page_size, sent.page.page, sent.page.descending) == (7, 3, True)


def test_a_list_without_a_query_is_the_first_ten_by_age(edge: Edge, admin: str) -> None:
    assert edge.call("GET", "users", token=admin).status_code == 200
    sent = edge.tier.last("ListUsers").request
    assert sent.sort == USER_SORT_FIELD_CREATED_TIME
    assert (sent.page.page_size, sent.page.page, sent.page.descending) == (10, 0, False)
    assert not sent.filter.HasField("created_after_time")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=-1", "page"),
        ("page=2147483648", "page"),
        ("page=1.0", "page"),
        ("page=%C2%B2", "page"),
        ("size=0", "size"),
        ("size=101", "size"),
        ("size=", "size"),
        ("sort=password", "sort"),
        ("order=up", "order"),
        ("status=gone", "status"),
        ("role=root", "role"),
        ("search=", "search"),
        ("search=%00", "search"),
        ("cursor=%20", "cursor"),
        ("cursor=" + "a" * 2049, "cursor"),
        ("cursor=bm9uZQ", "cursor"),
        ("created_after=yesterday", "created_after"),
        ("created_after=2026-01-02", "created_after"),
        ("created_after=2026-01-02T03:04:05", "created_after"),
        ("created_after=2026-13-02T03:04:05Z", "created_after"),
        ("created_before=0001-01-01T00:00:00%2B01:00", "created_before"),
        ("serch=x", "serch"),
        ("size=1&size=2", "size"),
    ],
)
def test_a_bad_query_is_a_field_error(edge: Edge, admin: str, query: str, field: str) -> None:
    answer = edge.call("GET", f"users?{query}", token=admin)
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {field}


def test_an_admin_makes_users_with_roles_and_status(edge: Edge, admin: str) -> None:
    body = GRACE | {"roles": ["premium"], "status": "inactive"}
    answer = edge.call("POST", "users", body, token=admin, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201
    assert answer.json["roles"] == ["premium", "user"]
    assert answer.json["status"] == "inactive"
    assert answer.headers["Location"] == f"/api/v1/users/{answer.json['id']}"
    assert edge.tier.last("CreateUser").request.status == USER_STATUS_INACTIVE
    again = edge.call("POST", "users", body, token=admin, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.headers["Idempotent-Replay"]) == (201, "true")
    problem_of(edge.call("POST", "users", body, token=admin), 409, "EMAIL_EXISTS")


@pytest.mark.parametrize("roles", [[], ["root"], ["user", "user"], "user", [1], None])
def test_roles_are_known_names_each_once(edge: Edge, admin: str, roles: Any) -> None:
    answer = edge.call("POST", "users", GRACE | {"roles": roles}, token=admin)
    [field] = problem_of(answer, 400, "VALIDATION_FAILED")["errors"]
    assert field.partition(".")[0] == "roles"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "users", None),
        ("POST", "users", GRACE),
        ("PATCH", f"users/{UNKNOWN}/status", {"status": "active"}),
        ("PUT", f"users/{UNKNOWN}/roles", {"roles": ["user"]}),
        ("DELETE", f"users/{UNKNOWN}", None),
    ],
)
def test_admins_rows_are_closed_to_others(edge: Edge, method: str, path: str, body: Any) -> None:
    _, token = edge.signed_in()
    problem_of(edge.call(method, path, body, token=token), 403, "FORBIDDEN")
    problem_of(edge.call(method, path, body), 401, "UNAUTHENTICATED")


def test_a_user_reads_itself_and_no_other(edge: Edge) -> None:
    user, token = edge.signed_in()
    other = edge.tier.add_user("eve@example.org")
    answer = edge.call("GET", f"users/{user.id.upper()}", token=token)
    assert (answer.status_code, answer.json["email"]) == (200, "ada@example.org")
    problem_of(edge.call("GET", f"users/{other.id}", token=token), 403, "FORBIDDEN")


def test_an_unknown_user_is_missing_and_a_bad_id_is_a_field_error(edge: Edge, admin: str) -> None:
    problem_of(edge.call("GET", f"users/{UNKNOWN}", token=admin), 404, "USER_NOT_FOUND")
    for bad in ("7", UNKNOWN[:-1], UNKNOWN.replace("-", ""), "%7B" + UNKNOWN + "%7D"):
        answer = edge.call("GET", f"users/{bad}", token=admin)
        assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {"id"}


def test_put_replaces_and_patch_changes_what_it_names(edge: Edge) -> None:
    user, token = edge.signed_in()
    path = f"users/{user.id}"
    problem_of(edge.call("PUT", path, {"name": "Ada"}, token=token), 400, "VALIDATION_FAILED")
    body = {"name": "Ada King", "email": "ada.king@example.org"}
    replaced = edge.call("PUT", path, body, token=token)
    assert (replaced.status_code, replaced.headers["ETag"]) == (200, '"v2"')
    assert replaced.json | body == replaced.json
    patched = edge.call(
        "PATCH",
        path,
        {"name": "Ada"},
        token=token,
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert (patched.json["name"], patched.json["email"]) == ("Ada", body["email"])
    sent = edge.tier.last("UpdateUser").request
    assert (sent.HasField("name"), sent.HasField("email")) == (True, False)


def test_a_patch_cannot_remove_a_required_member(edge: Edge) -> None:
    user, token = edge.signed_in()
    answer = edge.call("PATCH", f"users/{user.id}", {"name": None}, token=token)
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {"name"}


def test_texts_are_trimmed_and_normalized(edge: Edge) -> None:
    user, token = edge.signed_in()
    answer = edge.call("PATCH", f"users/{user.id}", {"name": " Zoe\u0308 "}, token=token)
    assert answer.json["name"] == "Zo\u00eb"


@pytest.mark.parametrize("name", ["", "  ", "a\u0000b", "a\nb", "\u2028", "n" * 256, 5, True, []])
def test_a_bad_name_is_a_field_error(edge: Edge, name: Any) -> None:
    user, token = edge.signed_in()
    answer = edge.call("PATCH", f"users/{user.id}", {"name": name}, token=token)
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {"name"}


def test_leaving_active_ends_sessions(edge: Edge, admin: str) -> None:
    user, token = edge.signed_in()
    answer = edge.call("PATCH", f"users/{user.id}/status", {"status": "suspended"}, token=admin)
    assert (answer.status_code, answer.json["status"]) == (200, "suspended")
    edge.feed.poll()
    problem_of(edge.call("GET", "auth/me", token=token), 401, "TOKEN_REVOKED")


def test_new_roles_follow_a_token_in_use(edge: Edge, admin: str) -> None:
    user, token = edge.signed_in()
    path = f"users/{user.id}/roles"
    assert edge.call("PUT", path, {"roles": ["admin"]}, token=admin).status_code == 200
    problem_of(edge.call("GET", "users", token=token), 403, "FORBIDDEN")
    edge.feed.poll()
    assert edge.call("GET", "users", token=token).status_code == 200


def test_the_last_admin_stays(edge: Edge) -> None:
    root, token = edge.signed_in("admin")
    for method, path, body in (
        ("PUT", f"users/{root.id}/roles", {"roles": ["user"]}),
        ("PATCH", f"users/{root.id}/status", {"status": "inactive"}),
        ("DELETE", f"users/{root.id}", None),
    ):
        problem_of(edge.call(method, path, body, token=token), 409, "INVALID_STATE")


def test_a_deleted_user_is_gone_with_its_sessions(edge: Edge, admin: str) -> None:
    user, token = edge.signed_in()
    assert edge.call("DELETE", f"users/{user.id}", token=admin).status_code == 204
    edge.feed.poll()
    problem_of(edge.call("GET", "auth/me", token=token), 401, "TOKEN_REVOKED")
    problem_of(edge.call("DELETE", f"users/{user.id}", token=admin), 404, "USER_NOT_FOUND")


def test_a_profile_begins_empty_and_put_clears_what_is_absent(edge: Edge) -> None:
    user, token = edge.signed_in()
    path = f"users/{user.id}/profile"
    empty = edge.call("GET", path, token=token)
    assert empty.headers["ETag"] == '"v0"'
    assert empty.json == {
        "user_id": user.id,
        "avatar_url": None,
        "bio": None,
        "phone": None,
        "updated_at": None,
    }
    body = {"avatar_url": "https://example.org/a.png", "bio": "Two\nlines", "phone": "+4915112345"}
    full = edge.call("PUT", path, body, token=token, headers={"If-Match": '"v0"'})
    assert (full.status_code, full.headers["ETag"]) == (200, '"v1"')
    assert full.json | body == full.json
    cleared = edge.call("PUT", path, {"bio": None, "phone": ""}, token=token)
    assert [cleared.json[name] for name in body] == [None, None, None]
    stale = edge.call("PUT", path, {}, token=token, headers={"If-Match": '"v0"'})
    problem_of(stale, 412, "PRECONDITION_FAILED")
    one_of = edge.call("PUT", path, {}, token=token, headers={"If-Match": '"v1", "v2"'})
    assert one_of.status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("avatar_url", "ftp://example.org/a.png"),
        ("avatar_url", "https://" + "a" * 500),
        ("bio", "b" * 1001),
        ("bio", "bell\u0007"),
        ("phone", "015112345"),
        ("phone", "+1234567890123456"),
        ("phone", 491511),
    ],
)
def test_a_bad_profile_field_is_named(edge: Edge, field: str, value: Any) -> None:
    user, token = edge.signed_in()
    answer = edge.call("PUT", f"users/{user.id}/profile", {field: value}, token=token)
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {field}
