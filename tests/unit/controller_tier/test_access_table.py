"""The one table of who may call what."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from arcana.service import v1
from controller_tier.access_table import INTERNAL_RPCS, PACKAGE, Access, access_table
from controller_tier.app import _resources
from controller_tier.denials import Denials
from controller_tier.download_links import DownloadLinks
from controller_tier.entrance import make_access_feed, make_entrance
from controller_tier.event_feeds import EventFeeds
from controller_tier.grpc_edge.gate import Gate
from controller_tier.openapi_parts import operation_document
from controller_tier.operations import Operation
from controller_tier.resources.docs import DocsViews
from controller_tier.settings import ControllerSettings
from tests.fakes.audit import KeptActs
from tests.fakes.clock import FakeClock
from tests.fakes.service import FakeServiceTier, stubs_of

TABLE = {rpc.name: rpc for rpc in access_table(ControllerSettings())}


def _every_rpc() -> set[str]:
    """Return every RPC of every contract in the package, whether or not the edge uses it."""
    [folder] = v1.__path__
    found = set()
    for path in Path(folder).glob("*_service_pb2.py"):
        descriptor = import_module(f"{PACKAGE}.{path.stem}").DESCRIPTOR
        for service in descriptor.services_by_name.values():
            found |= {f"{service.full_name}/{method.name}" for method in service.methods}
    return found


def test_every_rpc_of_the_contract_is_either_public_or_internal() -> None:
    every = _every_rpc()
    assert len(every) > 20
    assert TABLE.keys() | INTERNAL_RPCS == every
    assert not TABLE.keys() & INTERNAL_RPCS


def test_what_the_edge_asks_for_itself_is_not_public() -> None:
    for method in (
        "AuthService/ListAccessChanges",
        "AuthService/CheckSession",
        "RateLimitService/TakeRateLimit",
        "UserService/BatchGetUsers",
    ):
        assert f"{PACKAGE}.{method}" in INTERNAL_RPCS


@pytest.mark.parametrize(
    ("method", "access"),
    [
        ("AuthService/Register", Access.EVERYONE),
        ("AuthService/Login", Access.EVERYONE),
        ("AuthService/RefreshSession", Access.EVERYONE),
        ("AuthService/Logout", Access.EVERYONE),
        ("AuthService/LogoutAll", Access.SIGNED_IN),
        ("AuthService/ChangePassword", Access.SIGNED_IN),
        ("AuthService/RequestPasswordReset", Access.EVERYONE),
        ("AuthService/ConfirmPasswordReset", Access.EVERYONE),
        ("AuthService/VerifyEmail", Access.EVERYONE),
        ("AuthService/ResendVerification", Access.SIGNED_IN),
        ("AuthService/ListSessions", Access.SIGNED_IN),
        ("AuthService/EndSession", Access.SIGNED_IN),
        ("AuthService/GetJwks", Access.EVERYONE),
        ("UserService/GetUser", Access.SIGNED_IN),
        ("UserService/ListUsers", Access.ADMIN),
        ("UserService/StreamUsers", Access.ADMIN),
        ("UserService/CreateUser", Access.ADMIN),
        ("UserService/UpdateUser", Access.SIGNED_IN),
        ("UserService/UpdateUserStatus", Access.ADMIN),
        ("UserService/ReplaceUserRoles", Access.ADMIN),
        ("UserService/DeleteUser", Access.ADMIN),
        ("UserService/GetUserProfile", Access.SIGNED_IN),
        ("UserService/ReplaceUserProfile", Access.SIGNED_IN),
        ("ProductService/GetProduct", Access.OPTIONAL),
        ("ProductService/BatchGetProducts", Access.OPTIONAL),
        ("ProductService/ListProducts", Access.OPTIONAL),
        ("ProductService/SearchProducts", Access.OPTIONAL),
        ("ProductService/CreateProduct", Access.ADMIN),
        ("ProductService/UpdateProduct", Access.ADMIN),
        ("ProductService/DeleteProduct", Access.ADMIN),
        ("ProductService/UpdateStock", Access.ADMIN),
        ("ProductService/BatchUpdateStock", Access.ADMIN),
        ("ProductService/ListStockMovements", Access.ADMIN),
        ("OrderService/PlaceOrder", Access.SIGNED_IN),
        ("OrderService/GetOrder", Access.SIGNED_IN),
        ("OrderService/ListOrders", Access.SIGNED_IN),
        ("OrderService/CancelOrder", Access.SIGNED_IN),
        ("OrderService/UpdateOrderStatus", Access.ADMIN),
    ],
)
def test_who_may_call_is_what_the_api_promises(method: str, access: Access) -> None:
    assert TABLE[f"{PACKAGE}.{method}"].access is access


def test_every_route_that_asks_the_service_tier_stands_on_a_row() -> None:
    clock = FakeClock()
    service = stubs_of(FakeServiceTier(clock))
    settings = ControllerSettings()
    feed = make_access_feed(settings, service, clock)
    entrance = make_entrance(settings, service, feed, clock, KeptActs())
    docs, links = DocsViews(dict), DownloadLinks(b"", clock)
    feeds = EventFeeds(service.events, clock, max_open=1, longest_seconds=1.0)
    operations = [
        operation
        for resource in _resources(
            settings, service, entrance, docs, links=links, feeds=feeds, clock=clock
        )
        for operation in resource.operations
    ]
    assert len(operations) > 20
    for operation in operations:
        assert (operation.rpc is not None) is operation.hops, operation.name
    stood_on = {operation.rpc.name for operation in operations if operation.rpc is not None}
    # HTTP has no streams of users, and no batch of reads: the edge makes those itself.
    assert TABLE.keys() - stood_on == {
        f"{PACKAGE}.UserService/StreamUsers",
        f"{PACKAGE}.ProductService/BatchGetProducts",
    }


def test_only_streams_of_any_length_may_take_longer_than_a_request() -> None:
    # A search has at most a hundred answers, and everybody may make one.
    assert {name for name, rpc in TABLE.items() if rpc.unbounded} == {
        f"{PACKAGE}.UserService/StreamUsers",
        f"{PACKAGE}.ProductService/BatchUpdateStock",
        f"{PACKAGE}.EventService/StreamEvents",
        f"{PACKAGE}.FileService/UploadFile",
        f"{PACKAGE}.FileService/DownloadFile",
    }


def test_a_route_without_a_row_is_for_everyone() -> None:
    bare = Operation("GET", "/x", "x", lambda: None, "X.", ())  # type: ignore[arg-type,return-value]  # never called
    assert (bare.access, bare.limits) == (Access.EVERYONE, ())
    assert operation_document(bare)["security"] == []


def test_the_gate_knows_where_each_limited_address_stands() -> None:
    gate = Gate(None, Denials(KeptActs(), FakeClock()), trusted_proxies=0)
    # It raises for a row that is limited by an e-mail address which its message does not have.
    for rpc in TABLE.values():
        gate.of(rpc)
