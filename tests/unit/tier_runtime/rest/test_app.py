"""The REST server as a WSGI application: requests in, answers out, no socket."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
import pytest

from arcana.common.v1 import actor_pb2
from arcana.service.v1 import user_pb2, user_service_pb2, user_service_pb2_grpc
from tests.fakes.clock import FakeClock
from tier_runtime.context import RpcContext, rpc_context
from tier_runtime.errors import AppError, Kind
from tier_runtime.handlers import Registration, collect, guarded
from tier_runtime.health import HealthBoard
from tier_runtime.ids import Uuid7Source
from tier_runtime.logs import configure_logging, get_logger
from tier_runtime.rest.app import RestApp
from tier_runtime.rpc_desk import CallLimits, RpcDesk
from tier_runtime.wsgi_environ import SOCKET, WAITED_SECONDS

SERVICE = "arcana.service.v1.UserService"
# Of these, the names are no Python names.
_WSGI_NAMES = {
    "client_socket": SOCKET,
    "waited_seconds": WAITED_SECONDS,
}
GENERAL = f"/{SERVICE}/GetUser"


@dataclass
class Users(user_service_pb2_grpc.UserServiceServicer):
    """Answers as a test wants; tells the context of the last call."""

    answer: Callable[[Any, RpcContext], Any] = lambda _request, _context: None
    context: RpcContext | None = None

    def GetUser(self, request: Any, context: Any) -> Any:
        self.context = rpc_context(context)
        given = self.answer(request, self.context)
        return given or user_service_pb2.GetUserResponse(user=user_pb2.User(id=request.user_id))

    def CreateUser(self, request: Any, context: Any) -> Any:
        return user_service_pb2.CreateUserResponse(
            user=user_pb2.User(id="1", email=request.email, name=request.name)
        )

    def StreamUsers(self, request: Any, context: Any) -> Iterator[Any]:
        self.context = rpc_context(context)
        yield from self.answer(request, self.context)


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def reason(self) -> str:
        return str(self.json["details"][0]["reason"])


class Client:
    def __init__(self, app: RestApp) -> None:
        self.app = app

    def begin(
        self, verb: str, target: str, body: bytes = b"", **environ: Any
    ) -> tuple[int, dict[str, str], Any]:
        """Send a request and return status, headers and the body's parts, not yet taken."""
        path, _, query = target.partition("?")
        environ = {_WSGI_NAMES.get(name, name): value for name, value in environ.items()}
        told: list[Any] = []
        parts = self.app(
            {
                "REQUEST_METHOD": verb,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_LENGTH": str(len(body)) if body else "",
                "CONTENT_TYPE": "application/json" if body else "",
                "wsgi.input": io.BytesIO(body),
                **environ,
            },
            lambda status, headers: told.extend((status, headers)),
        )
        return int(told[0].split()[0]), dict(told[1]), parts

    def call(self, verb: str, target: str, body: bytes = b"", **environ: Any) -> Reply:
        status, headers, parts = self.begin(verb, target, body, **environ)
        text = b"".join(parts)
        if "Content-Length" in headers:
            assert int(headers["Content-Length"]) == len(text)
        return Reply(status, headers, text)


@pytest.fixture(autouse=True)
def log() -> io.StringIO:
    stream = io.StringIO()
    configure_logging("test", "debug", stream)
    return stream


@pytest.fixture
def users() -> Users:
    return Users()  # type: ignore[abstract]  # the methods that are missing are not called


@pytest.fixture
def health() -> HealthBoard:
    board = HealthBoard()
    board.set("", serving=True)
    board.set("store.cache", serving=False)
    return board


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def client(users: Users, health: HealthBoard, clock: FakeClock) -> Client:
    registration = Registration(
        SERVICE,
        lambda server: user_service_pb2_grpc.add_UserServiceServicer_to_server(users, server),
    )
    desk = RpcDesk(CallLimits(5.0, 0.005, 4), clock, Uuid7Source(), get_logger("test"))
    handlers = guarded(collect([registration]), desk)
    return Client(RestApp(handlers, health, max_concurrent_rpcs=2, max_message_bytes=1000))


def test_a_read_is_answered_in_json(client: Client) -> None:
    reply = client.call("GET", "/service/v1/users/0192")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.body == b'{"user":{"id":"0192"}}'


def test_every_method_can_be_called_in_the_general_form(client: Client) -> None:
    reply = client.call("POST", GENERAL, b'{"userId":"0192"}')
    assert reply.json == {"user": {"id": "0192"}}


def test_a_write_takes_its_fields_from_the_body(client: Client) -> None:
    reply = client.call("POST", "/service/v1/users", b'{"email":"a@example.org","name":"\xc3\x9c"}')
    assert reply.json == {"user": {"id": "1", "email": "a@example.org", "name": "Ü"}}


def test_a_handler_may_answer_serialized(client: Client, users: Users) -> None:
    answer = user_service_pb2.GetUserResponse(user=user_pb2.User(id="7", version=2))
    users.answer = lambda _request, _context: answer.SerializeToString()
    assert client.call("GET", "/service/v1/users/1").json == {"user": {"id": "7", "version": 2}}


def test_actor_request_id_and_time_arrive(client: Client, users: Users) -> None:
    actor = actor_pb2.Actor(subject="0192", roles=["admin"]).SerializeToString()
    client.call(
        "GET",
        "/service/v1/users/1",
        HTTP_ARCANA_ACTOR_BIN=base64.b64encode(actor).decode(),
        HTTP_X_REQUEST_ID="r-1",
        HTTP_TRACEPARENT="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        HTTP_GRPC_TIMEOUT="250m",
    )
    assert users.context is not None
    assert users.context.actor.subject == "0192"
    assert users.context.actor.roles == {"admin"}
    assert users.context.request_id == "r-1"
    assert users.context.call.traceparent.startswith("00-aaa")
    assert 0.2 < users.context.call.deadline.remaining() <= 0.25


def test_an_error_is_its_status_with_its_details(client: Client, users: Users) -> None:
    def fails(_request: Any, _context: RpcContext) -> None:
        raise AppError(
            Kind.INVALID,
            "VALIDATION_FAILED",
            "No.",
            field_errors={"name": ["Too long."]},
            retry_after=2.5,
            limit=3,
        )

    users.answer = fails
    reply = client.call("GET", "/service/v1/users/1")
    assert reply.status == 400
    assert reply.json == {
        "code": 3,
        "message": "No.",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "VALIDATION_FAILED",
                "domain": "arcana",
                "metadata": {"limit": "3"},
            },
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "field_violations": [{"field": "name", "description": "Too long."}],
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retry_delay": "2.500s"},
        ],
    }


def test_an_unavailable_tier_says_when_to_come_again(client: Client, users: Users) -> None:
    def fails(_request: Any, _context: RpcContext) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.", retry_after=1.5)

    users.answer = fails
    reply = client.call("GET", "/service/v1/users/1")
    assert (reply.status, reply.headers["Retry-After"]) == (503, "2")
    # What tells our channels that this was tried as often as it may be.
    assert reply.headers["grpc-trailer-grpc-retry-pushback-ms"] == "-1"


def test_a_bug_says_nothing(client: Client, users: Users, log: io.StringIO) -> None:
    def fails(_request: Any, _context: RpcContext) -> None:
        raise RuntimeError("secret")

    users.answer = fails
    reply = client.call("GET", "/service/v1/users/1")
    assert reply.status == 500
    assert b"secret" not in reply.body
    assert "secret" in log.getvalue()


def test_an_answer_without_a_json_form_is_a_bug(client: Client, users: Users) -> None:
    user = user_pb2.User()
    user.created_time.seconds = 10**12
    users.answer = lambda _request, _context: user_service_pb2.GetUserResponse(user=user)
    reply = client.call("GET", "/service/v1/users/1")
    assert (reply.status, reply.json["code"]) == (500, 13)


@pytest.mark.parametrize(
    ("verb", "target", "status", "reason", "allow"),
    [
        ("GET", "/nowhere", 404, "NOT_FOUND", None),
        ("GET", "/\xc3\xbc", 404, "NOT_FOUND", None),
        ("DELETE", "/service/v1/users", 405, "METHOD_NOT_ALLOWED", "GET, POST"),
        ("HEAD", "/service/v1/users/1", 405, "METHOD_NOT_ALLOWED", "DELETE, GET, PATCH"),
        ("POST", "/health", 405, "METHOD_NOT_ALLOWED", "GET"),
        ("GET", "/grpc.health.v1.Health/Watch", 404, "NOT_FOUND", None),
    ],
)
def test_what_no_method_is_called_like_is_unimplemented(
    client: Client, verb: str, target: str, status: int, reason: str, allow: str | None
) -> None:
    reply = client.call(verb, target)
    assert (reply.status, reply.json["code"], reply.reason) == (status, 12, reason)
    assert reply.headers.get("Allow") == allow


@pytest.mark.parametrize(
    ("body", "content_type", "status", "reason"),
    [
        (b"{", "application/json", 400, "MALFORMED_BODY"),
        (b"[]", "application/json; charset=utf-8", 400, "MALFORMED_BODY"),
        (b'{"shoe_size":44}', "application/json", 400, "MALFORMED_BODY"),
        (b"name=Ada", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", "", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"name":"%s"}' % (b"x" * 1000), "application/json", 413, "BODY_TOO_LARGE"),
        (b"x" * 5000, "application/json", 413, "BODY_TOO_LARGE"),
    ],
)
def test_a_body_that_is_none_is_refused(
    client: Client, body: bytes, content_type: str, status: int, reason: str
) -> None:
    reply = client.call("POST", "/service/v1/users", body, CONTENT_TYPE=content_type)
    assert (reply.status, reply.reason) == (status, reason)
    assert reply.json["details"][0]["domain"] != "arcana"


def test_a_body_that_ends_before_its_length_is_refused_though_it_can_be_read(
    client: Client, users: Users
) -> None:
    reply = client.call("POST", GENERAL, b'{"user_id":"1"}', CONTENT_LENGTH="40")
    assert (reply.status, reply.reason) == (400, "MALFORMED_BODY")
    assert users.context is None


def test_the_field_of_a_body_that_cannot_be_read_is_named(client: Client) -> None:
    reply = client.call("POST", "/service/v1/users", b'{"email":"a@example.org","name":1}')
    assert reply.json["details"][1]["field_violations"][0]["field"] == "name"


def test_a_refused_request_is_logged_without_its_path(client: Client, log: io.StringIO) -> None:
    client.call("GET", "/nowhere/secret")
    lines = [orjson.loads(line) for line in log.getvalue().splitlines()]
    refused = [line for line in lines if line["event"] == "request_refused"]
    assert [(line["status"], line["reason"]) for line in refused] == [(404, "no such method")]
    assert "secret" not in log.getvalue()


def test_a_body_of_unknown_length_is_read_to_its_end(client: Client) -> None:
    environ = {
        "CONTENT_LENGTH": "",
        "CONTENT_TYPE": "application/json",
        "HTTP_TRANSFER_ENCODING": "chunked",
    }
    reply = client.call("POST", "/service/v1/users", b'{"name":"Ada"}', **environ)
    assert reply.json["user"]["name"] == "Ada"
    reply = client.call("POST", "/service/v1/users", b"x" * 5000, **environ)
    assert (reply.status, reply.reason) == (413, "BODY_TOO_LARGE")


def test_a_bad_query_is_refused(client: Client) -> None:
    reply = client.call("GET", "/service/v1/users?page=1")
    assert reply.status == 400


def test_an_answer_larger_than_a_message_may_be_is_overload(client: Client, users: Users) -> None:
    user = user_pb2.User(name="x" * 1000)
    users.answer = lambda _request, _context: user_service_pb2.GetUserResponse(user=user)
    reply = client.call("GET", "/service/v1/users/1")
    assert (reply.status, reply.json["code"]) == (503, 8)


def test_what_exceeds_the_bound_is_shed(client: Client, users: Users) -> None:
    entered, leave = threading.Barrier(3), threading.Event()

    def waits(_request: Any, _context: RpcContext) -> None:
        entered.wait(10)
        assert leave.wait(10)

    users.answer = waits
    threads = [
        threading.Thread(target=client.call, args=("GET", "/service/v1/users/1")) for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    entered.wait(10)
    reply = client.call("GET", "/service/v1/users/1")
    leave.set()
    for thread in threads:
        thread.join(10)
    assert (reply.status, reply.json["code"], reply.headers["Retry-After"]) == (503, 8, "1")
    users.answer = lambda _request, _context: None
    assert client.call("GET", "/service/v1/users/1").status == 200


def test_the_time_that_a_request_waited_is_its_own(client: Client) -> None:
    waited: dict[str, Any] = {"HTTP_GRPC_TIMEOUT": "100m", "waited_seconds": 0.2}
    reply = client.call("GET", "/service/v1/users/1", b"", **waited)
    assert (reply.status, reply.json["code"]) == (504, 4)


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/health", 200, "SERVING"),
        ("/health/", 200, "SERVING"),
        ("/health/store.cache", 503, "NOT_SERVING"),
        ("/health/nothing", 404, "SERVICE_UNKNOWN"),
    ],
)
def test_health_is_told(client: Client, path: str, status: int, word: str) -> None:
    reply = client.call("GET", path)
    assert (reply.status, reply.json) == (status, {"status": word})


def test_health_is_told_to_stubs(client: Client) -> None:
    check = "/grpc.health.v1.Health/Check"
    assert client.call("POST", check, b'{"service":""}').json == {"status": "SERVING"}
    unknown = client.call("POST", check, b'{"service":"nothing"}')
    assert (unknown.status, unknown.json["code"]) == (404, 5)


STREAM = f"/{SERVICE}/StreamUsers"


def _users(ids: Sequence[str]) -> Iterator[Any]:
    for user_id in ids:
        yield user_service_pb2.StreamUsersResponse(user=user_pb2.User(id=user_id))


def test_a_stream_is_a_message_a_line(client: Client, users: Users) -> None:
    users.answer = lambda _request, _context: _users(["1", "2"])
    reply = client.call("POST", STREAM, b"{}")
    assert reply.headers["Content-Type"] == "application/x-ndjson"
    assert reply.body == b'{"user":{"id":"1"}}\n{"user":{"id":"2"}}\n'


def test_an_empty_stream_has_no_line(client: Client, users: Users) -> None:
    users.answer = lambda _request, _context: iter(())
    reply = client.call("POST", STREAM, b"{}")
    assert (reply.status, reply.body) == (200, b"")


def test_a_stream_that_fails_at_once_has_its_status(client: Client, users: Users) -> None:
    def fails(_request: Any, _context: RpcContext) -> Iterator[Any]:
        raise AppError(Kind.FORBIDDEN, "FORBIDDEN", "No.")

    users.answer = fails
    reply = client.call("POST", STREAM, b"{}")
    assert (reply.status, reply.reason) == (403, "FORBIDDEN")


def test_a_stream_that_fails_midway_says_so_in_its_last_line(client: Client, users: Users) -> None:
    def fails(_request: Any, _context: RpcContext) -> Iterator[Any]:
        yield from _users(["1"])
        raise AppError(Kind.CONFLICT, "INVALID_STATE", "No.")

    users.answer = fails
    lines = client.call("POST", STREAM, b"{}").body.splitlines()
    assert orjson.loads(lines[0]) == {"user": {"id": "1"}}
    assert orjson.loads(lines[1])["@error"]["details"][0]["reason"] == "INVALID_STATE"
    assert len(lines) == 2


class Connection:
    """A client's connection, as much of a socket as is looked at: one end of a pipe."""

    def __init__(self) -> None:
        self._ours, self._theirs = os.pipe()

    def fileno(self) -> int:
        return self._ours

    def leave(self) -> None:
        """Close the client's end."""
        os.close(self._theirs)
        self._theirs = -1

    def close(self) -> None:
        if self._theirs >= 0:
            self.leave()
        os.close(self._ours)


@pytest.fixture
def connection() -> Iterator[Connection]:
    with contextlib.closing(Connection()) as one:
        yield one


def test_a_stream_ends_with_its_caller(
    client: Client, users: Users, connection: Connection
) -> None:
    closed: list[bool] = []

    def endless(_request: Any, _context: RpcContext) -> Iterator[Any]:
        try:
            while True:
                yield from _users(["1"])
        finally:
            closed.append(True)

    users.answer = endless
    connection.leave()
    status, _, parts = client.begin("POST", STREAM, b"{}", client_socket=connection)
    assert status == HTTPStatus.OK
    assert next(parts)
    # Were it to end well, the server would send the mark of a whole body: who closed only its own
    # side of the connection still reads.
    with pytest.raises(ConnectionResetError):
        next(parts)
    assert closed == [True]
    assert users.context is not None
    assert not users.context.is_active()


def test_a_stream_whose_handler_sees_that_its_caller_has_gone_is_broken_off_too(
    client: Client, users: Users, connection: Connection
) -> None:
    def looks(_request: Any, context: RpcContext) -> Iterator[Any]:
        yield from _users(["1"])
        connection.leave()
        assert not context.is_active()

    users.answer = looks
    _, _, parts = client.begin("POST", STREAM, b"{}", client_socket=connection)
    assert next(parts)
    with pytest.raises(ConnectionResetError):
        next(parts)


def test_an_empty_stream_of_a_caller_that_has_gone_is_no_success(
    client: Client, users: Users, connection: Connection
) -> None:
    users.answer = lambda _request, _context: iter(())
    connection.leave()
    reply = client.call("POST", STREAM, b"{}", client_socket=connection)
    assert (reply.status, reply.json["code"]) == (499, 1)


def test_a_stream_that_the_server_cuts_off_between_two_messages_says_so(
    client: Client, users: Users
) -> None:
    closed: list[bool] = []

    def endless(_request: Any, _context: RpcContext) -> Iterator[Any]:
        try:
            while True:
                yield from _users(["1"])
        finally:
            closed.append(True)

    users.answer = endless
    _, _, parts = client.begin("POST", STREAM, b"{}")
    assert next(parts)
    assert users.context is not None
    # As the server does after its own limit when the caller has set none.
    users.context.cancel()
    assert [orjson.loads(line) for line in parts] == [
        {"@error": {"code": 1, "message": "Cancelled."}}
    ]
    assert closed == [True]


@pytest.mark.parametrize("before", [0, 1])
def test_a_stream_whose_handler_ends_because_it_was_cut_off_says_so(
    client: Client, users: Users, before: int
) -> None:
    def looks(_request: Any, context: RpcContext) -> Iterator[Any]:
        yield from _users(["1"] * before)
        context.cancel()
        assert not context.is_active()

    users.answer = looks
    reply = client.call("POST", STREAM, b"{}")
    told = orjson.loads(reply.body.splitlines()[-1])
    assert (told["@error"] if before else told)["code"] == 1
    assert reply.status == (200 if before else 499)


def test_a_stream_that_nobody_takes_is_closed(client: Client, users: Users) -> None:
    closed: list[bool] = []

    def endless(_request: Any, _context: RpcContext) -> Iterator[Any]:
        try:
            while True:
                yield from _users(["1"])
        finally:
            closed.append(True)

    users.answer = endless
    _, _, parts = client.begin("POST", STREAM, b"{}")
    parts.close()
    assert closed == [True]


def test_a_stream_ends_with_its_time(client: Client, users: Users, clock: FakeClock) -> None:
    def endless(_request: Any, _context: RpcContext) -> Iterator[Any]:
        while True:
            clock.advance(0.3)
            yield from _users(["1"])

    users.answer = endless
    lines = client.call("POST", STREAM, b"{}", HTTP_GRPC_TIMEOUT="1S").body.splitlines()
    assert orjson.loads(lines[-1])["@error"]["code"] == 4
    assert len(lines) < 6
