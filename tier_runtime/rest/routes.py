"""Verb and path of every method, by its google.api.http annotation.

https://github.com/googleapis/googleapis/blob/master/google/api/http.proto

Every method can also be called as POST /package.Service/Method with all its fields in the body.
That is the only way of methods without annotation, and the way of a message that its URL cannot
say: an id with a slash in it, or none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from google.api import annotations_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tier_runtime.rest.codec import JsonCodec, JsonError, codec_of, dumps
from tier_runtime.rest.query import QueryForm

_PARAMETER = re.compile(r"{(\w+)}")
# What stands in a path as it is (RFC 3986, section 2.3).
_PLAIN = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")
# Servers take about 4,000 bytes of request line.
_MAX_TARGET = 2000


class NoSuchRouteError(Exception):
    """No method has this path; with `verbs`, some have, under other verbs."""

    def __init__(self, verbs: Iterable[str] = ()) -> None:
        super().__init__("No method is called this way.")
        self.verbs = tuple(sorted(verbs))


@dataclass(frozen=True, slots=True)
class Route:
    """How one method is called over HTTP."""

    # "/package.Service/Method", which is also its path in the general form.
    method: str
    verb: str
    # With parameters as {user_id}.
    path: str
    # False: what is not in the path is in the query.
    has_body: bool
    request_streaming: bool
    response_streaming: bool
    request_class: type[Message]
    response_class: type[Message]
    request: JsonCodec[Any] = field(repr=False)
    response: JsonCodec[Any] = field(repr=False)
    query: QueryForm = field(repr=False)
    parameters: tuple[str, ...] = ()

    def address(self, message: Message) -> tuple[str, str, bytes | None]:
        """Return the verb, the target and the body with which the message is sent.

        Raises:
            JsonError: the message has no JSON form.
        """
        fields = self.request.to_fields(message)
        if self.path != self.method:
            target = self._target(fields)
            if target is not None and len(target) <= _MAX_TARGET:
                return self.verb, target, dumps(fields) if self.has_body else None
            fields = self.request.to_fields(message)
        return "POST", self.method, dumps(fields)

    def read(self, path_values: dict[str, str], query: str, body: bytes) -> Message:
        """Return the message that was sent.

        Raises:
            JsonError: it cannot be read.
        """
        if self.has_body:
            if query:
                raise JsonError("This method takes its fields in the body.")
            return self._message(body or b"{}", path_values)
        return self._message(dumps(self.query.read(query)), path_values)

    def _message(self, text: bytes, path_values: dict[str, str]) -> Message:
        message: Message = self.request.decode(text, beside=path_values)
        return message

    def _target(self, fields: dict[str, Any]) -> str | None:
        """Return path and query, and take from the fields what they say."""
        path = self.path
        for name in self.parameters:
            value = str(fields.pop(name, ""))
            if not _PLAIN.fullmatch(value):
                return None
            path = path.replace(f"{{{name}}}", value)
        if self.has_body:
            return path
        query = self.query.write(fields)
        if query is None:
            return None
        return f"{path}?{query}" if query else path


def route_of(method: str) -> Route:
    """Return the route of "/package.Service/Method".

    Raises:
        KeyError: no contract that was imported has this method.
    """
    service_name, _, name = method.removeprefix("/").rpartition("/")
    service = descriptor_pool.Default().FindServiceByName(service_name)
    return _route(service.methods_by_name[name])


def general_form(route: Route) -> Route:
    """Return the same method called as POST /package.Service/Method."""
    if route.path == route.method:
        return route
    return replace(route, verb="POST", path=route.method, has_body=True, parameters=())


class RouteTable:
    """Finds the route of a request among those of some methods."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, dict[str, Route]] = {}
        # By the number of slashes, which every path of a template shares.
        self._patterns: dict[int, list[tuple[re.Pattern[str], Route]]] = {}
        for route in routes:
            for form in {route.path: route, route.method: general_form(route)}.values():
                if form.parameters:
                    found = self._patterns.setdefault(form.path.count("/"), [])
                    found.append((_pattern(form.path), form))
                else:
                    self._exact.setdefault(form.path, {})[form.verb] = form

    def find(self, verb: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route of a request and the values of its path's parameters.

        Raises:
            NoSuchRouteError: there is none.
        """
        by_verb = self._exact.get(path, {})
        if verb in by_verb:
            return by_verb[verb], {}
        others = set(by_verb)
        for pattern, route in self._patterns.get(path.count("/"), ()):
            match = pattern.fullmatch(path)
            if match is None:
                continue
            if route.verb == verb:
                return route, match.groupdict()
            others.add(route.verb)
        raise NoSuchRouteError(others)


def _route(method: MethodDescriptor) -> Route:
    service = method.containing_service
    full_name = f"/{service.full_name}/{method.name}"
    request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    streaming = method.client_streaming or method.server_streaming
    # A body of one field only would be one more form to keep; our contracts have none.
    annotated = (
        verb in {"get", "put", "post", "delete", "patch"}
        and rule.body in {"", "*"}
        and not streaming
    )
    path = getattr(rule, verb) if annotated else full_name
    return Route(
        method=full_name,
        verb=verb.upper() if annotated else "POST",
        path=path,
        has_body=bool(rule.body) if annotated else True,
        request_streaming=method.client_streaming,
        response_streaming=method.server_streaming,
        request_class=request,
        response_class=response,
        request=codec_of(request),
        response=codec_of(response),
        query=QueryForm(method.input_type),
        parameters=tuple(_PARAMETER.findall(path)),
    )


def _pattern(path: str) -> re.Pattern[str]:
    # Neither a slash nor the colon of a custom verb belongs to a value that is sent this way.
    pieces = _PARAMETER.split(path)
    return re.compile(
        "".join(
            f"(?P<{piece}>[^/:]+)" if index % 2 else re.escape(piece)
            for index, piece in enumerate(pieces)
        )
    )
