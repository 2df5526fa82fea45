"""Who may call what over the public gRPC API, and what a caller is believed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from arcana.common.v1 import actor_pb2
from arcana.service.v1 import auth_service_pb2 as auth_pb2
from arcana.service.v1 import file_service_pb2 as files_pb2
from arcana.service.v1 import user_service_pb2 as users_pb2
from controller_tier.access_table import INTERNAL_RPCS, PACKAGE, Access, PublicRpc, access_table
from controller_tier.settings import ControllerSettings
from tests.stores.waiting import eventually
from tests.tier.controller.grpc_edge.edges import (
    SECONDS,
    Metadata,
    PublicEdge,
    bearer,
    error_of,
    public_edge,
)

ROWS = list(access_table(ControllerSettings()))
PASSWORD = "Correct-Horse-7"
# What is refused without its first part before anybody asks who calls.
FIRST_PARTS = {
    f"{PACKAGE}.FileService/UploadFile": files_pb2.UploadFileRequest(
        start=files_pb2.UploadFileStart(filename="photo.png")
    ).SerializeToString()
}


@pytest.fixture(scope="module")
def edge() -> Iterator[PublicEdge]:
    with public_edge(rate_limit_enabled=False) as edge:
        yield edge


@pytest.fixture(scope="module")
def callers(edge: PublicEdge) -> dict[str, tuple[str, Metadata]]:
    """The id and the metadata of each kind of caller."""
    user, users_metadata = edge.signed_in("user@example.org")
    admin, admins_metadata = edge.signed_in("admin@example.org", "admin")
    return {
        "nobody": ("", ()),
        "user": (user.id, users_metadata),
        "admin": (admin.id, admins_metadata),
    }


def _call(edge: PublicEdge, path: str, metadata: Metadata) -> tuple[grpc.StatusCode, str]:
    """Call with an empty message where that may be, and return how it ended and the reason."""
    # Whether there can be many answers, or requests, looks alike to a caller that sends one.
    call: Any = edge.channel.unary_stream(path, None, None)
    request = FIRST_PARTS.get(path.removeprefix("/"), b"")
    answers = call(request, metadata=metadata, timeout=SECONDS)
    try:
        list(answers)
    except grpc.RpcError as error:
        return answers.code(), error_of(error).code
    return grpc.StatusCode.OK, ""


@pytest.mark.parametrize("caller", ["nobody", "user", "admin"])
@pytest.mark.parametrize("rpc", ROWS, ids=lambda rpc: rpc.name.rpartition(".")[2])
def test_each_row_lets_in_whom_it_names_and_nobody_else(
    edge: PublicEdge, callers: dict[str, tuple[str, Metadata]], rpc: PublicRpc, caller: str
) -> None:
    # A new session each time: there are rows that end sessions.
    user_id, _ = callers[caller]
    metadata = bearer(edge.tier.sign_in(edge.tier.accounts[user_id].user)) if user_id else ()
    method = rpc.name.rpartition("/")[2]
    before = edge.tier.methods().count(method)
    code, reason = _call(edge, rpc.path, metadata)
    came_in = edge.tier.methods().count(method) > before
    may = {
        Access.EVERYONE: {"nobody", "user", "admin"},
        Access.OPTIONAL: {"nobody", "user", "admin"},
        Access.SIGNED_IN: {"user", "admin"},
        Access.ADMIN: {"admin"},
    }[rpc.access]
    if caller in may:
        assert came_in, (code, reason)
        call = edge.tier.last(method).call
        assert call is not None
        # Where everyone may call, nobody is asked who they are.
        assert call.actor.subject == ("" if rpc.access is Access.EVERYONE else user_id)
        return
    assert not came_in
    expected = (
        (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
        if caller == "nobody"
        else (grpc.StatusCode.PERMISSION_DENIED, "FORBIDDEN")
    )
    assert (code, reason) == expected


@pytest.mark.parametrize(
    "path",
    [
        *(f"/{name}" for name in sorted(INTERNAL_RPCS)),
        "/arcana.service.v1.AuthService/Nothing",
        "/arcana.service.v1.NoService/Login",
        "/arcana.repository.v1.UserRepository/GetUser",
        "/arcana.service.v1.AuthService/login",
        "/",
    ],
)
def test_what_has_no_row_is_refused_to_admins_too(
    edge: PublicEdge, callers: dict[str, tuple[str, Metadata]], path: str
) -> None:
    _, metadata = callers["admin"]
    polled = {"ListAccessChanges"}
    before = [name for name in edge.tier.methods() if name not in polled]
    call: Any = edge.channel.unary_unary(path, None, None)
    with pytest.raises(grpc.RpcError) as raised:
        call(b"", metadata=metadata, timeout=SECONDS)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert [name for name in edge.tier.methods() if name not in polled] == before


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (["Bearer x"], "INVALID_TOKEN"),
        (["Bearer"], "INVALID_TOKEN"),
        (["Bearer a b"], "INVALID_TOKEN"),
        (["Basic YTpi"], "UNAUTHENTICATED"),
        ([""], "UNAUTHENTICATED"),
        (["Bearer eyJhbGciOiJub25lIn0..", "Bearer x"], "INVALID_TOKEN"),
    ],
)
def test_a_bad_token_is_told_apart_from_none(
    edge: PublicEdge, authorization: list[str], reason: str
) -> None:
    metadata: Metadata = tuple(("authorization", value) for value in authorization)
    with pytest.raises(grpc.RpcError) as raised:
        edge.users.GetUser(users_pb2.GetUserRequest(user_id="x"), metadata=metadata)
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert error_of(raised.value).code == reason


def test_two_tokens_are_none_even_if_both_are_good(edge: PublicEdge) -> None:
    user, metadata = edge.signed_in("two@example.org")
    request = users_pb2.GetUserRequest(user_id=user.id)
    assert edge.users.GetUser(request, metadata=metadata).user == user
    with pytest.raises(grpc.RpcError) as raised:
        edge.users.GetUser(request, metadata=metadata * 2)
    assert error_of(raised.value).code == "INVALID_TOKEN"


def test_a_token_of_another_kind_or_out_of_time_is_refused(edge: PublicEdge) -> None:
    user, _ = edge.signed_in("late@example.org")
    mint, request = edge.tier.mint, users_pb2.GetUserRequest(user_id=user.id)
    for change, reason in (
        ({"headers": {"typ": "JWT"}}, "INVALID_TOKEN"),
        ({"claims": {"aud": "other"}}, "INVALID_TOKEN"),
        ({"claims": {"exp": 1}}, "TOKEN_EXPIRED"),
    ):
        token = mint.issue(user.id, "s", **change)
        with pytest.raises(grpc.RpcError) as raised:
            edge.users.GetUser(request, metadata=bearer(token))
        assert error_of(raised.value).code == reason


def test_a_session_that_ended_is_refused_within_a_second(edge: PublicEdge) -> None:
    user, metadata = edge.signed_in("gone@example.org")
    request = users_pb2.GetUserRequest(user_id=user.id)
    assert edge.users.GetUser(request, metadata=metadata).user.id == user.id
    edge.auth.LogoutAll(auth_pb2.LogoutAllRequest(), metadata=metadata)

    def is_refused() -> bool:
        try:
            edge.users.GetUser(request, metadata=metadata)
        except grpc.RpcError as error:
            return error_of(error).code == "TOKEN_REVOKED"
        return False

    eventually(is_refused, 1.5, "the session has ended")


def test_new_roles_reach_tokens_that_are_in_use(edge: PublicEdge) -> None:
    user, metadata = edge.signed_in("promoted@example.org")
    _, admins_metadata = edge.signed_in("promoter@example.org", "admin")
    with pytest.raises(grpc.RpcError):
        edge.users.ListUsers(users_pb2.ListUsersRequest(), metadata=metadata)
    edge.users.ReplaceUserRoles(
        users_pb2.ReplaceUserRolesRequest(user_id=user.id, roles=["admin"]),
        metadata=admins_metadata,
    )

    def may_list() -> bool:
        try:
            edge.users.ListUsers(users_pb2.ListUsersRequest(), metadata=metadata)
        except grpc.RpcError:
            return False
        return True

    eventually(may_list, 1.5, "the new role is known")


def _forged(subject: str) -> Metadata:
    actor = actor_pb2.Actor(subject=subject, roles=["admin", "user"], session_id="s")
    return (("arcana-actor-bin", actor.SerializeToString()),)


def test_an_actor_that_the_client_names_is_not_believed(edge: PublicEdge) -> None:
    user, metadata = edge.signed_in("forger@example.org")
    admin, _ = edge.signed_in("victim@example.org", "admin")
    with pytest.raises(grpc.RpcError) as alone:
        edge.users.ListUsers(users_pb2.ListUsersRequest(), metadata=_forged(admin.id))
    assert alone.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.RpcError) as beside:
        edge.users.ListUsers(users_pb2.ListUsersRequest(), metadata=metadata + _forged(admin.id))
    assert beside.value.code() is grpc.StatusCode.PERMISSION_DENIED
    request = users_pb2.GetUserRequest(user_id=user.id)
    edge.users.GetUser(request, metadata=_forged(admin.id) + metadata)
    call = edge.tier.last("GetUser").call
    assert call is not None
    assert (call.actor.subject, call.actor.roles) == (user.id, frozenset({"user"}))


@pytest.mark.parametrize("actor", [b"\xff\xff", b"", b"x" * 5000], ids=["junk", "empty", "long"])
def test_what_stands_where_the_actor_stands_is_not_even_read(
    edge: PublicEdge, actor: bytes
) -> None:
    metadata: Metadata = (("arcana-actor-bin", actor),)
    assert edge.auth.GetJwks(auth_pb2.GetJwksRequest(), metadata=metadata).keys
    call = edge.tier.last("GetJwks").call
    assert call is not None
    assert call.actor.is_anonymous


def test_where_everyone_may_call_an_old_token_is_no_hindrance(edge: PublicEdge) -> None:
    user = edge.tier.add_user("again@example.org")
    pair = edge.tier.start_session(user)
    request = auth_pb2.RefreshSessionRequest(refresh_token=pair.refresh_token)
    assert edge.auth.RefreshSession(request, metadata=bearer("expired")).tokens.access_token


def test_request_id_and_trace_are_taken_over_by_the_rules_of_http(edge: PublicEdge) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    good: Metadata = (("x-request-id", "follow-me"), ("traceparent", trace))
    edge.auth.GetJwks(auth_pb2.GetJwksRequest(), metadata=good)
    call = edge.tier.last("GetJwks").call
    assert call is not None
    assert (call.request_id, call.traceparent) == ("follow-me", trace)
    bad: Metadata = (("x-request-id", "not one"), ("traceparent", "00-x"))
    edge.auth.GetJwks(auth_pb2.GetJwksRequest(), metadata=bad)
    call = edge.tier.last("GetJwks").call
    assert call is not None
    assert len(call.request_id) == 36
    assert call.traceparent == ""


def test_a_session_shows_what_the_edge_saw_of_its_client(edge: PublicEdge) -> None:
    user = edge.tier.add_user("seen@example.org", password=PASSWORD)
    request = auth_pb2.LoginRequest(
        email=user.email, password=PASSWORD, client_address="203.0.113.9", user_agent="forged"
    )
    edge.auth.Login(request)
    seen = edge.tier.last("Login").request
    assert seen.client_address == "127.0.0.1"
    assert seen.user_agent.startswith("grpc-python/")
    assert (seen.email, seen.password) == (user.email, PASSWORD)


@pytest.mark.parametrize("method", ["AuthService/Login", "UserService/GetUser"])
def test_bytes_that_are_no_message_are_the_callers_fault(edge: PublicEdge, method: str) -> None:
    _, metadata = edge.signed_in(f"{method.rpartition('/')[2]}@example.org")
    call: Any = edge.channel.unary_unary(f"/arcana.service.v1.{method}", None, None)
    with pytest.raises(grpc.RpcError) as raised:
        call(b"\xff\xff\xff", metadata=metadata)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_of(raised.value).code == "MALFORMED_BODY"
