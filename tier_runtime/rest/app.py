"""The server's side of a REST hop: a tier's handlers as a WSGI application.

The guarded handlers do what they do behind a gRPC server: actor, deadline, errors, log line.
This module turns HTTP into calls of them, and says as google.rpc.Status what was spoken wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import grpc
import orjson
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types

from tier_runtime.handlers import Registration, collect
from tier_runtime.health import HEALTH_SERVICE, HealthBoard
from tier_runtime.logs import get_logger
from tier_runtime.rest import statuses
from tier_runtime.rest.answers import Answer, failed
from tier_runtime.rest.bodies import (
    BodyCutOffError,
    BodyTooLargeError,
    Presence,
    RestContext,
    fault_of,
    read_body,
    sent_messages,
)
from tier_runtime.rest.codec import JsonError
from tier_runtime.rest.endpoint import Endpoint
from tier_runtime.rest.limits import is_too_large, wire_bytes
from tier_runtime.rest.routes import NoSuchRouteError, Route, RouteTable, route_of
from tier_runtime.rest.wire import (
    JSON_TYPE,
    NDJSON_TYPE,
    metadata_from_environ,
    timeout_seconds,
)
from tier_runtime.tls.http_sockets import names_of
from tier_runtime.wsgi_environ import SOCKET, WAITED_SECONDS

_HEALTH_PATH = "/health"
_HEALTH_WORDS = {None: "SERVICE_UNKNOWN", False: "NOT_SERVING", True: "SERVING"}
_HEALTH_STATUS = {None: 404, False: 503, True: 200}

Environ = dict[str, Any]
Handlers = Mapping[str, "grpc.RpcMethodHandler[Any, Any]"]


class RestApp:
    """A WSGI application that serves these guarded handlers and tells this board's health.

    `max_concurrent_rpcs` bounds what is handled at a time: what exceeds it is refused at once.
    A server that lets requests wait for a thread has to bound those itself; see
    WorkerApp.max_in_flight. `max_message_bytes` bounds a message, in and out.

    Raises:
        KeyError: a handler's contract was not imported.
    """

    def __init__(
        self,
        handlers: Handlers,
        health: HealthBoard,
        *,
        max_concurrent_rpcs: int = 256,
        max_message_bytes: int = 4 * 1024 * 1024,
    ) -> None:
        served = {**handlers, **_health_handlers(health)}
        self._endpoints = {
            method: Endpoint(route_of(method), handler, max_message_bytes)
            for method, handler in served.items()
        }
        self._routes = RouteTable(endpoint.route for endpoint in self._endpoints.values())
        self._health = health
        self._max_in_flight = max_concurrent_rpcs
        self._max_bytes = max_message_bytes
        self._log = get_logger(__name__)
        self._counting = threading.Lock()
        self._in_flight = 0

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        with self._counting:
            self._in_flight += 1
            in_flight = self._in_flight
        try:
            if in_flight > self._max_in_flight:
                raise _refused_as_overload()
            answer = self._answer(environ)
        except RefusedError as refusal:
            # What reaches a method has a log line there. Not the path: it may hold anything.
            self._log.info("request_refused", status=refusal.http, reason=str(refusal))
            answer = failed(refusal.fault, refusal.http, refusal.headers)
        finally:
            with self._counting:
                self._in_flight -= 1
        return answer.send(start_response)

    def _answer(self, environ: Environ) -> Answer:
        path: str = environ["PATH_INFO"]
        if not path.isascii():
            # WSGI hands over bytes as latin-1; what is no UTF-8 fits no route and no name.
            path = path.encode("latin-1").decode("utf-8", "replace")
        verb = environ["REQUEST_METHOD"]
        try:
            if path == _HEALTH_PATH or path.startswith(f"{_HEALTH_PATH}/"):
                return self._health_answer(verb, path.removeprefix(_HEALTH_PATH).lstrip("/"))
            route, path_values = self._routes.find(verb, path)
        except NoSuchRouteError as error:
            raise _refused_route(error) from error
        if route.request_streaming and route.response_streaming:
            raise _refused_streams(route)
        presence = Presence(environ)
        context = RestContext(
            metadata_from_environ(environ),
            _seconds_left(environ),
            peer=f"ipv4:{environ.get('REMOTE_ADDR', '')}:{environ.get('REMOTE_PORT', '')}",
            is_caller_there=presence,
        )
        context.peer_names = names_of(environ.get(SOCKET))
        _check_type(environ, route)
        given: Any
        if route.request_streaming:
            given = sent_messages(environ, route.request, context, presence, self._max_bytes)
        else:
            given = self._message(environ, route, path_values)
        return self._endpoints[route.method].answer(given, context)

    def _message(self, environ: Environ, route: Route, path_values: dict[str, str]) -> Message:
        try:
            body = read_body(environ, wire_bytes(self._max_bytes)) if route.has_body else b""
            message = route.read(path_values, environ.get("QUERY_STRING", ""), body)
            if is_too_large(message, len(body), self._max_bytes):
                raise BodyTooLargeError
        except (JsonError, BodyCutOffError) as error:
            raise RefusedError("malformed", fault_of(error, self._max_bytes), 400) from error
        except BodyTooLargeError as error:
            raise RefusedError("too large", fault_of(error, self._max_bytes), 413) from error
        return message

    def _health_answer(self, verb: str, name: str) -> Answer:
        if verb != "GET":
            raise NoSuchRouteError(["GET"])
        serving = self._health.snapshot().get(name)
        body = orjson.dumps({"status": _HEALTH_WORDS[serving]})
        headers = [("Content-Type", JSON_TYPE), ("Content-Length", str(len(body)))]
        return Answer(_HEALTH_STATUS[serving], headers, (body,))


class RefusedError(Exception):
    """A request that reaches no method, and what is answered to it."""

    def __init__(
        self, reason: str, fault: Status, http: int, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(reason)
        self.fault = fault
        self.http = http
        self.headers = headers


def _health_handlers(health: HealthBoard) -> Handlers:
    handlers = collect([Registration(HEALTH_SERVICE, health.add_to)])
    # Watch hands its thread back and answers from another: that needs a gRPC server.
    return {method: handlers[method] for method in (f"/{HEALTH_SERVICE}/Check",)}


def _seconds_left(environ: Environ) -> float | None:
    """Return what the caller still waits, after the time that its request waited here."""
    seconds = timeout_seconds(environ.get("HTTP_GRPC_TIMEOUT", ""))
    if seconds is None:
        return None
    waited: float = environ.get(WAITED_SECONDS, 0.0)
    return max(seconds - waited, 0.0)


def _check_type(environ: Environ, route: Route) -> None:
    has_body = environ.get("CONTENT_LENGTH", "0") not in {"", "0"}
    if not (has_body or "HTTP_TRANSFER_ENCODING" in environ) or not route.has_body:
        return
    wanted = NDJSON_TYPE if route.request_streaming else JSON_TYPE
    given: str = environ.get("CONTENT_TYPE", "")
    if given != wanted and given.partition(";")[0].strip().lower() != wanted:
        fault = statuses.http_fault(
            grpc.StatusCode.INVALID_ARGUMENT,
            "UNSUPPORTED_MEDIA_TYPE",
            f"The body must be {wanted}.",
        )
        raise RefusedError("wrong type", fault, 415)


def _refused_route(error: NoSuchRouteError) -> RefusedError:
    # As gRPC says of an unknown method: NOT_FOUND would be an answer of the method itself.
    code = grpc.StatusCode.UNIMPLEMENTED
    if error.verbs:
        fault = statuses.http_fault(code, "METHOD_NOT_ALLOWED", "This path has other verbs.")
        return RefusedError("wrong verb", fault, 405, [("Allow", ", ".join(error.verbs))])
    fault = statuses.http_fault(code, "NOT_FOUND", "There is no such method.")
    return RefusedError("no such method", fault, 404)


def _refused_streams(route: Route) -> RefusedError:
    fault = statuses.status(
        grpc.StatusCode.UNIMPLEMENTED,
        f"{route.method} streams in both directions, which HTTP hops cannot: use gRPC.",
    )
    return RefusedError("streams in both directions", fault, statuses.http_status(fault))


def _refused_as_overload() -> RefusedError:
    fault = statuses.overloaded("Too many requests at the same time.")
    return RefusedError("overload", fault, statuses.http_status(fault))
