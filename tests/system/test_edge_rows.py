"""Every row of the contract answers at the running edge, in every wiring."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import jwt
import pytest
import uuid_utils

from tests.stores import Stores
from tests.stores.waiting import eventually
from tests.system.client import (
    TIMESTAMP,
    UUID7,
    Json,
    expect,
    expect_empty,
    expect_problem,
    new_email,
    new_password,
)
from tests.system.document import committed_document
from tests.system.event_source import SentEvent, sent_events
from tests.system.row_table import PROFILE, ROWS
from tests.system.rows import Row
from tests.system.wiring import USUAL, Place, places
from tests.system.world import World, world_at

USER_FIELDS = {
    "id",
    "email",
    "name",
    "status",
    "email_verified",
    "roles",
    "created_at",
    "updated_at",
    "last_login_at",
}
PAGE_FIELDS = {
    "data",
    "page",
    "size",
    "total",
    "total_pages",
    "has_next",
    "has_previous",
    "next_cursor",
}


@pytest.fixture(scope="module", params=places(real=(USUAL,)), ids=str)
def world(
    request: pytest.FixtureRequest, stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Run all tiers; every answer is held to the committed OpenAPI document."""
    place: Place = request.param
    folder = tmp_path_factory.mktemp("rows")
    with world_at(place, stores, folder, committed_document().check) as world:
        yield world


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_row_answers_with_its_success(world: World, row: Row) -> None:
    answer = row.call(world).send(world.edge)
    assert answer.status_code == row.status, answer.text
    assert answer.headers["X-Request-ID"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if row.status in {202, 204} and not row.path.startswith("/jobs/"):
        assert answer.content in {b"", b"{}"}
    if row.etag and row.status == 200:
        assert answer.headers["ETag"].startswith('"')
    if row.path == "/events":
        assert answer.headers["Content-Type"].startswith("text/event-stream")
    elif answer.content and not row.path.startswith("/docs"):
        assert answer.headers["Content-Type"].startswith("application/json")
    assert b"password" not in answer.content or row.path in {"/openapi.json", "/docs"}


@pytest.mark.parametrize("path", ["/auth/me", "/users/me", "/users/{id}", "/settings/account-info"])
def test_all_names_of_an_account_give_the_same_user(world: World, path: str) -> None:
    resident = world.resident
    user = expect(world.edge.get(path.format(id=resident.id), headers=resident.bearer), 200)
    assert user.keys() == USER_FIELDS
    assert UUID7.fullmatch(user["id"])
    assert (user["id"], user["email"]) == (resident.id, resident.email)
    for name in ("created_at", "updated_at", "last_login_at"):
        assert TIMESTAMP.fullmatch(user[name])
    assert (user["status"], user["roles"]) == ("active", ["user"])


def test_an_admin_makes_a_user_with_roles_and_status(world: World) -> None:
    email = new_email("made")
    body = {
        "name": "Made",
        "email": email,
        "password": new_password(),
        "roles": ["premium"],
        "status": "inactive",
    }
    answer = world.edge.post("/users", body, headers=world.admin.bearer)
    user = expect(answer, 201)
    assert answer.headers["Location"].endswith(f"/api/v1/users/{user['id']}")
    assert (user["status"], user["roles"]) == ("inactive", ["premium", "user"])
    problem = world.edge.login(email, body["password"])  # type: ignore[arg-type]  # a string
    expect_problem(problem, 403, "ACCOUNT_NOT_ACTIVE")


def test_pages_by_number_and_by_cursor_walk_the_same_users_in_order(world: World) -> None:
    mark = secrets.token_hex(4)
    emails = []
    for number in range(7):
        email = new_email(f"{mark}-{number}")
        expect(world.edge.register(email, new_password(), f"Walker {number}"), 201)
        emails.append(email)

    def page(**params: str) -> Json:
        query = {"search": mark, "size": "3", "sort": "email", "order": "desc"} | params
        return expect(world.edge.get("/users", params=query, headers=world.admin.bearer), 200)

    by_number = [page(page=str(number)) for number in range(3)]
    for number, part in enumerate(by_number):
        assert part.keys() == PAGE_FIELDS
        assert (part["page"], part["size"]) == (number, 3)
        assert (part["total"], part["total_pages"]) == (7, 3)
        assert part["has_previous"] is (number > 0)
        assert part["has_next"] is (number < 2)
    walked = [user["email"] for part in by_number for user in part["data"]]
    assert walked == sorted(emails, reverse=True)

    by_cursor = [page()]
    while by_cursor[-1]["next_cursor"]:
        by_cursor.append(page(cursor=by_cursor[-1]["next_cursor"]))
        assert by_cursor[-1]["page"] is None
        assert by_cursor[-1]["total"] is None
        assert by_cursor[-1]["total_pages"] is None
    assert [user["email"] for part in by_cursor for user in part["data"]] == walked


@pytest.mark.parametrize(
    "params",
    [
        {"size": "0"},
        {"size": "101"},
        {"page": "-1"},
        {"sort": "password"},
        {"order": "up"},
        {"status": "gone"},
        {"created_after": "yesterday"},
        {"cursor": "made-up"},
        {"surprise": "1"},
    ],
    ids=str,
)
def test_a_wrong_query_is_a_field_error(world: World, params: dict[str, str]) -> None:
    answer = world.edge.get("/users", params=params, headers=world.admin.bearer)
    problem = expect_problem(answer, 400, "VALIDATION_FAILED")
    assert params.keys() <= problem["errors"].keys()


def test_an_etag_saves_the_body_and_guards_the_write(world: World) -> None:
    account = world.newcomer()
    path = f"/users/{account.id}"
    etag = world.edge.get(path, headers=account.bearer).headers["ETag"]
    unchanged = world.edge.get(path, headers=account.bearer | {"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["ETag"] == etag

    guarded = account.bearer | {"If-Match": etag}
    changed = world.edge.call("PATCH", path, {"name": "Guarded"}, headers=guarded)
    assert expect(changed, 200)["name"] == "Guarded"
    assert changed.headers["ETag"] != etag
    stale = world.edge.call("PATCH", path, {"name": "Too late"}, headers=guarded)
    expect_problem(stale, 412, "PRECONDITION_FAILED")
    expect(world.edge.get(path, headers=account.bearer | {"If-None-Match": etag}), 200)


@pytest.mark.parametrize("path", ["/auth/register", "/users"])
def test_a_repeated_idempotency_key_replays_the_first_answer(world: World, path: str) -> None:
    headers = world.admin.bearer if path == "/users" else {}
    key = headers | {"Idempotency-Key": secrets.token_hex(16)}
    body = {"name": "Once", "email": new_email("once"), "password": new_password()}
    first = world.edge.post(path, body, headers=key)
    again = world.edge.post(path, body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert first.headers["Location"] == again.headers["Location"]
    assert "Idempotent-Replay" not in first.headers
    assert again.headers["Idempotent-Replay"] == "true"


def test_put_clears_what_is_absent_and_a_profile_starts_empty(world: World) -> None:
    account = world.newcomer()
    path = f"/users/{account.id}/profile"
    empty = expect(world.edge.get(path, headers=account.bearer), 200)
    assert [empty[name] for name in PROFILE] == [None, None, None]
    filled = expect(world.edge.call("PUT", path, PROFILE, headers=account.bearer), 200)
    assert {name: filled[name] for name in PROFILE} == PROFILE
    bio = expect(world.edge.call("PUT", path, {"bio": "Only this."}, headers=account.bearer), 200)
    assert [bio[name] for name in PROFILE] == [None, "Only this.", None]


def test_a_mailed_token_resets_the_password_once_and_ends_every_session(world: World) -> None:
    account = world.newcomer()
    answer = world.edge.post("/auth/password-reset", {"email": account.email})
    unknown = world.edge.post("/auth/password-reset", {"email": new_email("nobody")})
    assert (answer.status_code, answer.content) == (unknown.status_code, unknown.content)
    changed = new_password()
    body = {"token": world.mailbox.reset_token(account.id), "new_password": changed}
    expect_empty(world.edge.post("/auth/password-reset/confirm", body))
    again = world.edge.post("/auth/password-reset/confirm", body)
    expect_problem(again, 401, "INVALID_TOKEN")
    expect_problem(world.edge.refresh(account.tokens.refresh), 401, "TOKEN_REVOKED")
    expect_problem(world.edge.login(account.email, account.password), 401, "INVALID_CREDENTIALS")
    world.edge.sign_in(account.email, changed)


def test_a_mailed_token_verifies_the_address_until_it_changes(world: World) -> None:
    account = world.newcomer()
    token = world.mailbox.verification_token(account.id)
    expect_empty(world.edge.post("/auth/verify-email", {"token": token}))
    assert expect(world.edge.me(account.tokens.access), 200)["email_verified"] is True
    again = world.edge.post("/auth/verify-email", {"token": token})
    expect_problem(again, 401, "INVALID_TOKEN")
    moved = {"email": new_email("moved")}
    path = f"/users/{account.id}"
    user = expect(world.edge.call("PATCH", path, moved, headers=account.bearer), 200)
    assert user["email_verified"] is False


def test_access_tokens_are_signed_with_a_published_key_and_say_what_they_are(world: World) -> None:
    token = world.resident.tokens.access
    (key,) = expect(world.edge.get("/.well-known/jwks.json"), 200)["keys"]
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["typ"]) == ("EdDSA", "at+jwt")
    assert header["kid"] == key["kid"]
    claims = jwt.decode(
        token, jwt.PyJWK(key), algorithms=["EdDSA"], audience="arcana-api", issuer="arcana"
    )
    assert claims["sub"] == world.resident.id
    assert claims["exp"] - claims["iat"] == 3600
    assert UUID7.fullmatch(claims["jti"])
    assert UUID7.fullmatch(claims["sid"])


@pytest.mark.parametrize(
    "changes", [{"aud": "other"}, {"iss": "other"}, {"exp": None}, {"sid": None}, {"sub": None}]
)
def test_a_token_that_lacks_what_it_must_say_is_refused(
    world: World, changes: dict[str, str | None]
) -> None:
    token = world.retold(world.resident.tokens.access, **changes)
    expect_problem(world.edge.me(token), 401, "INVALID_TOKEN")


def test_a_refresh_token_is_no_access_token(world: World) -> None:
    expect_problem(world.edge.me(world.resident.tokens.refresh), 401, "INVALID_TOKEN")


def test_the_outbox_tells_of_what_happened(world: World) -> None:
    account = world.newcomer()
    world.edge.login(account.email, new_password())
    expect_empty(world.edge.call("DELETE", f"/users/{account.id}", headers=world.admin.bearer))
    for event in (
        "auth.user_registered",
        "user.created",
        "auth.login_success",
        "auth.login_failed",
        "user.deleted",
    ):
        assert world.mailbox.has_event(event, account.id), event


def test_a_stream_of_events_goes_on_where_it_ended(world: World) -> None:
    first, second = (world.shop.order(world.resident) for _ in range(2))
    wanted = {"type": "order.created"}

    def read(after: str) -> list[SentEvent]:
        headers = world.admin.bearer | {"Last-Event-ID": after}
        answer = world.edge.get("/events", params=wanted, headers=headers)
        assert answer.status_code == 200, answer.text
        return sent_events(answer.text)

    # No event has this id, so what is sent begins at about its time.
    now = str(uuid_utils.uuid7())
    found = eventually(lambda: _of_orders(read(now), first, second), 20, "both events")
    assert [each.document["payload"]["user_id"] for each in found] == [world.resident.id] * 2
    assert all(each.id == each.document["id"] for each in found)
    assert [each.type for each in found] == ["order.created"] * 2
    rest = read(found[0].id)
    assert [each.id for each in rest] == [found[1].id]


def _of_orders(events: list[SentEvent], *orders: Json) -> list[SentEvent]:
    found = [
        next((each for each in events if each.document["aggregate_id"] == order["id"]), None)
        for order in orders
    ]
    return [each for each in found if each is not None] if all(found) else []


def test_health_names_every_tier_and_store(world: World) -> None:
    health = expect(world.edge.get("/health"), 200)
    assert health["status"] == "ok"
    assert health["tiers"] == dict.fromkeys(
        ("controller", "service", "repository", "database", "cache"), "up"
    )
    assert health["version"]


def test_the_served_document_is_the_committed_one(world: World) -> None:
    assert expect(world.edge.get("/openapi.json"), 200) == committed_document().content
