"""The first story of the product, from the outside, in every wiring and on each kind of store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from arcana.service.v1 import user_service_pb2, user_service_pb2_grpc
from tests.stores import Stores
from tests.stores.waiting import eventually
from tests.system.client import (
    TIMESTAMP,
    UUID7,
    Account,
    Edge,
    Tokens,
    bearer,
    expect,
    expect_empty,
    expect_problem,
    new_email,
    new_password,
)
from tests.system.discretion import watched_edge
from tests.system.running import RunningSystem, system_at
from tests.system.wiring import USUAL, Place, Wiring, places
from tests.system.workers import Answer, EveryWorker

# What the contract promises for the end of access, from the answer of what ended it.
SECONDS_TO_END = 1.0


PLACES = places(real=(USUAL, Wiring("microservices", "http")))


@pytest.fixture(scope="module", params=PLACES, ids=str)
def arcana(
    request: pytest.FixtureRequest, stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningSystem]:
    """Run all tiers for this module. Do not end them."""
    place: Place = request.param
    with system_at(place, stores, tmp_path_factory.mktemp("story")) as system:
        yield system


@pytest.fixture(scope="module")
def edge(arcana: RunningSystem) -> Iterator[Edge]:
    with watched_edge(arcana) as edge:
        yield edge


@pytest.fixture(scope="module")
def admin(arcana: RunningSystem, edge: Edge) -> dict[str, str]:
    """Give the headers of a signed-in admin."""
    return bearer(edge.sign_in(arcana.admin.email, arcana.admin.password).access)


def _is_revoked(answer: Answer) -> bool:
    return (answer.status, answer.code) == (401, "TOKEN_REVOKED")


def _lives(answer: Answer) -> bool:
    return answer.status == 200


def test_register_login_me_refresh_and_reuse(arcana: RunningSystem, edge: Edge) -> None:
    email, password = new_email("grace"), new_password()

    registered = edge.register(email, password, "Grace Hopper")
    user = expect(registered, 201)
    assert UUID7.fullmatch(user["id"])
    assert registered.headers["Location"].endswith(f"/api/v1/users/{user['id']}")
    assert (user["email"], user["name"]) == (email, "Grace Hopper")
    assert (user["status"], user["roles"]) == ("active", ["user"])
    assert user["email_verified"] is False
    assert user["last_login_at"] is None
    assert TIMESTAMP.fullmatch(user["created_at"])

    signed_in = expect(edge.login(email, password), 200)
    assert signed_in["token_type"] == "Bearer"
    assert signed_in["expires_in"] == 3600
    first = Tokens(signed_in["access_token"], signed_in["refresh_token"])
    me = expect(edge.me(first.access), 200)
    assert (me["id"], me["email"]) == (user["id"], email)
    assert TIMESTAMP.fullmatch(me["last_login_at"])

    refreshed = expect(edge.refresh(first.refresh), 200)
    second = Tokens(refreshed["access_token"], refreshed["refresh_token"])
    assert second.refresh != first.refresh
    expect(edge.me(second.access), 200)

    with EveryWorker(arcana, "/api/v1/auth/me", bearer(second.access)) as workers:
        assert all(_lives(answer) for answer in workers.ask().values())
        expect_problem(edge.refresh(first.refresh), 401, "TOKEN_REVOKED")
        workers.wait_until_all(_is_revoked, SECONDS_TO_END, "the end of a reused session")
    expect_problem(edge.refresh(second.refresh), 401, "TOKEN_REVOKED")
    expect_problem(edge.me(first.access), 401, "TOKEN_REVOKED")


EndSessions = Callable[[Edge, Account, dict[str, str]], None]


def _logout_all(edge: Edge, account: Account, admin: dict[str, str]) -> None:
    expect_empty(edge.post("/auth/logout-all", headers=account.bearer))


def _suspend(edge: Edge, account: Account, admin: dict[str, str]) -> None:
    path = f"/users/{account.id}/status"
    answer = expect(edge.call("PATCH", path, {"status": "suspended"}, headers=admin), 200)
    assert answer["status"] == "suspended"


def _deactivate(edge: Edge, account: Account, admin: dict[str, str]) -> None:
    path = f"/users/{account.id}/status"
    expect(edge.call("PATCH", path, {"status": "inactive"}, headers=admin), 200)


def _delete(edge: Edge, account: Account, admin: dict[str, str]) -> None:
    expect_empty(edge.call("DELETE", f"/users/{account.id}", headers=admin))


@pytest.mark.parametrize("end", [_logout_all, _suspend, _deactivate, _delete])
def test_what_ends_all_sessions_bites_within_a_second_on_every_worker(
    arcana: RunningSystem, edge: Edge, admin: dict[str, str], end: EndSessions
) -> None:
    account, bystander = edge.new_account(), edge.new_account()
    other = edge.sign_in(account.email, account.password)
    with EveryWorker(arcana, "/api/v1/auth/me", bearer(other.access)) as workers:
        assert all(_lives(answer) for answer in workers.ask().values())
        end(edge, account, admin)
        workers.wait_until_all(_is_revoked, SECONDS_TO_END, end.__name__)
    expect_problem(edge.me(account.tokens.access), 401, "TOKEN_REVOKED")
    for tokens in (account.tokens, other):
        expect_problem(edge.refresh(tokens.refresh), 401, "TOKEN_REVOKED")
    expect(edge.me(bystander.tokens.access), 200)


@pytest.mark.parametrize("path", ["/auth/change-password", "/settings/change-password"])
def test_a_password_change_ends_all_other_sessions_within_a_second_on_every_worker(
    arcana: RunningSystem, edge: Edge, path: str
) -> None:
    account = edge.new_account()
    other = edge.sign_in(account.email, account.password)
    changed = new_password()
    body = {"current_password": account.password, "new_password": changed}
    with EveryWorker(arcana, "/api/v1/auth/me", bearer(other.access)) as workers:
        expect_empty(edge.post(path, body, headers=account.bearer))
        workers.wait_until_all(_is_revoked, SECONDS_TO_END, "the end of the other session")
    expect_problem(edge.refresh(other.refresh), 401, "TOKEN_REVOKED")
    expect(edge.me(account.tokens.access), 200)
    expect_problem(edge.login(account.email, account.password), 401, "INVALID_CREDENTIALS")
    edge.sign_in(account.email, changed)


def test_one_session_ends_alone_by_logout_and_from_the_list_of_sessions(
    arcana: RunningSystem, edge: Edge
) -> None:
    account = edge.new_account()
    second = edge.sign_in(account.email, account.password)
    third = edge.sign_in(account.email, account.password)

    with EveryWorker(arcana, "/api/v1/auth/me", bearer(second.access)) as workers:
        expect_empty(edge.post("/auth/logout", {"refresh_token": second.refresh}))
        workers.wait_until_all(_is_revoked, SECONDS_TO_END, "the end by logout")

    listed = expect(edge.get("/auth/sessions", headers=account.bearer), 200)["data"]
    assert len(listed) == 2
    # Newest first: the third sign-in.
    with EveryWorker(arcana, "/api/v1/auth/me", bearer(third.access)) as workers:
        path = f"/auth/sessions/{listed[0]['id']}"
        expect_empty(edge.call("DELETE", path, headers=account.bearer))
        workers.wait_until_all(_is_revoked, SECONDS_TO_END, "the end from the list")
    expect(edge.me(account.tokens.access), 200)
    listed = expect(edge.get("/auth/sessions", headers=account.bearer), 200)["data"]
    assert len(listed) == 1


def test_a_change_of_roles_takes_effect_within_a_second_without_signing_in_again(
    arcana: RunningSystem, edge: Edge, admin: dict[str, str]
) -> None:
    account = edge.new_account()
    path = f"/users/{account.id}/roles"
    with EveryWorker(arcana, "/api/v1/users?size=1", account.bearer) as workers:
        assert {answer.code for answer in workers.ask().values()} == {"FORBIDDEN"}

        answer = expect(edge.call("PUT", path, {"roles": ["admin"]}, headers=admin), 200)
        assert answer["roles"] == ["admin", "user"]
        workers.wait_until_all(_lives, SECONDS_TO_END, "the new role")

        expect(edge.call("PUT", path, {"roles": ["user"]}, headers=admin), 200)
        workers.wait_until_all(
            lambda each: (each.status, each.code) == (403, "FORBIDDEN"),
            SECONDS_TO_END,
            "the end of the role",
        )
    expect(edge.refresh(account.tokens.refresh), 200)


def test_a_suspended_account_is_told_so_only_after_the_right_password(
    edge: Edge, admin: dict[str, str]
) -> None:
    account = edge.new_account()
    _suspend(edge, account, admin)
    expect_problem(edge.login(account.email, account.password), 403, "ACCOUNT_NOT_ACTIVE")
    expect_problem(edge.login(account.email, new_password()), 401, "INVALID_CREDENTIALS")

    path = f"/users/{account.id}/status"
    expect(edge.call("PATCH", path, {"status": "active"}, headers=admin), 200)
    edge.sign_in(account.email, account.password)
    # To be active again brings no session back.
    eventually(
        lambda: expect_problem(edge.me(account.tokens.access), 401, "TOKEN_REVOKED"),
        SECONDS_TO_END,
        "the end of the old session",
    )


def test_the_public_grpc_api_gives_the_same_user_for_the_same_token(
    arcana: RunningSystem, edge: Edge
) -> None:
    account = edge.new_account()
    with grpc.insecure_channel(arcana.grpc_edge_url.removeprefix("grpc://")) as channel:
        users = user_service_pb2_grpc.UserServiceStub(channel)
        request = user_service_pb2.GetUserRequest(user_id=account.id)
        token = (("authorization", account.bearer["Authorization"]),)
        answer = users.GetUser(request, metadata=token, timeout=5)
        with pytest.raises(grpc.RpcError) as refused:
            users.GetUser(request, timeout=5)
    assert (answer.user.id, answer.user.email) == (account.id, account.email)
    # What gRPC raises is the finished call too, which its types do not say.
    call: Any = refused.value
    assert call.code() is grpc.StatusCode.UNAUTHENTICATED
