"""Verb, path and query of every method, there and back."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import user_repository_pb2
from arcana.service.v1 import user_pb2, user_service_pb2
from tests.unit.tier_runtime.rest.contracts import messages, routes
from tier_runtime.rest.codec import JsonError
from tier_runtime.rest.routes import NoSuchRouteError, Route, RouteTable, route_of
from tier_runtime.rest.wire import ERROR_MEMBER

PageRequest = paging_pb2.PageRequest
UserFilter = user_service_pb2.UserFilter
ROUTES = routes()
TABLE = RouteTable(ROUTES)
USERS = "/arcana.service.v1.UserService/"


def _received(verb: str, target: str, body: bytes | None) -> tuple[Route, object]:
    path, _, query = target.partition("?")
    route, path_values = TABLE.find(verb, path)
    return route, route.read(path_values, query, body or b"")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_every_message_of_every_method_arrives_as_it_was(data: st.DataObject) -> None:
    route = data.draw(st.sampled_from(ROUTES))
    message = data.draw(messages(route.request_class))
    received, read = _received(*route.address(message))
    assert received.method == route.method
    assert read == message


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.method)
def test_every_method_has_a_general_form(route: Route) -> None:
    received, _ = TABLE.find("POST", route.method)
    assert received.method == route.method


def test_no_field_can_have_the_name_of_what_tells_a_streams_failure() -> None:
    # protobuf's names are letters, digits and underscores.
    assert not ERROR_MEMBER.isidentifier()


def test_a_read_is_a_get_of_its_path() -> None:
    route = route_of(USERS + "GetUser")
    request = user_service_pb2.GetUserRequest(user_id="0192-a")
    assert route.address(request) == ("GET", "/service/v1/users/0192-a", None)


def test_other_fields_of_a_read_are_its_query() -> None:
    request = user_service_pb2.ListUsersRequest(
        filter=UserFilter(
            status=user_pb2.USER_STATUS_ACTIVE, search="a b&c=ü", created_after_time=Timestamp()
        ),
        page=PageRequest(page_size=20, descending=True),
    )
    verb, target, body = route_of(USERS + "ListUsers").address(request)
    assert (verb, body) == ("GET", None)
    assert target == (
        "/service/v1/users?filter.status=USER_STATUS_ACTIVE"
        "&filter.created_after_time=1970-01-01T00%3A00%3A00Z&filter.search=a+b%26c%3D%C3%BC"
        "&page.page_size=20&page.descending=true"
    )


def test_a_query_may_use_the_names_of_the_json_mapping_and_numbers_of_enums() -> None:
    route, _ = TABLE.find("GET", "/service/v1/users")
    request = route.read({}, "page.pageSize=5&filter.status=1&sort=USER_SORT_FIELD_NAME", b"")
    assert request == user_service_pb2.ListUsersRequest(
        page=PageRequest(page_size=5),
        filter=UserFilter(status=user_pb2.USER_STATUS_ACTIVE),
        sort=user_service_pb2.USER_SORT_FIELD_NAME,
    )


@pytest.mark.parametrize(
    "query",
    [
        "nonsense=1",
        "page=1",
        "page.page_size=many",
        "page.page_size=1&page.page_size=2",
        "page.descending=yes",
        "filter.status=NO_SUCH",
        "filter.created_after_time=yesterday",
        "filter.search=%FF",
    ],
)
def test_a_query_that_cannot_be_read_is_refused(query: str) -> None:
    route, _ = TABLE.find("GET", "/service/v1/users")
    with pytest.raises(JsonError):
        route.read({}, query, b"")


def test_a_body_takes_no_query_beside_it() -> None:
    route, _ = TABLE.find("POST", "/service/v1/users")
    with pytest.raises(JsonError):
        route.read({}, "name=Ada", b"{}")


def test_what_is_in_the_path_is_not_in_the_body() -> None:
    request = user_service_pb2.UpdateUserRequest(user_id="1", name="")
    address = route_of(USERS + "UpdateUser").address(request)
    assert address == ("PATCH", "/service/v1/users/1", b'{"name":""}')


@pytest.mark.parametrize("user_id", ["", "a/b", "a:b", "..", ".", "a b", "%41", "ü", "a\n", "?x"])
def test_an_id_that_a_path_cannot_say_is_sent_in_the_general_form(user_id: str) -> None:
    request = user_service_pb2.GetUserRequest(user_id=user_id)
    verb, target, body = route_of(USERS + "GetUser").address(request)
    assert (verb, target) == ("POST", USERS + "GetUser")
    assert _received(verb, target, body)[1] == request


@pytest.mark.parametrize(
    "request_",
    [
        user_service_pb2.ListUsersRequest(filter=UserFilter()),
        user_service_pb2.ListUsersRequest(filter=UserFilter(search="x" * 3000)),
    ],
    ids=["an empty message", "a long text"],
)
def test_what_a_query_cannot_say_is_sent_in_the_general_form(
    request_: user_service_pb2.ListUsersRequest,
) -> None:
    verb, target, _ = route_of(USERS + "ListUsers").address(request_)
    assert (verb, target) == ("POST", USERS + "ListUsers")


def test_a_custom_verb_is_no_part_of_an_id() -> None:
    route, values = TABLE.find("POST", "/repository/v1/users/7:delete")
    assert route.request_class is user_repository_pb2.DeleteUserRequest
    assert values == {"user_id": "7"}


@pytest.mark.parametrize(
    ("verb", "path", "verbs"),
    [
        ("GET", "/nowhere", ()),
        ("GET", "/service/v1/users/", ()),
        ("GET", "/service/v1/users/1/2/3", ()),
        ("PUT", "/service/v1/users", ("GET", "POST")),
        ("POST", "/service/v1/users/1", ("DELETE", "GET", "PATCH")),
        ("GET", USERS + "GetUser", ("POST",)),
    ],
)
def test_a_path_or_verb_that_no_method_has_is_told(
    verb: str, path: str, verbs: tuple[str, ...]
) -> None:
    with pytest.raises(NoSuchRouteError) as caught:
        TABLE.find(verb, path)
    assert caught.value.verbs == verbs


def test_a_method_of_no_contract_has_no_route() -> None:
    for method in ("/no.such.Service/Method", USERS + "NoSuchMethod"):
        with pytest.raises(KeyError):
            route_of(method)
