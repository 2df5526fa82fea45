"""One method of a REST channel: a stub's message to a request, an answer to its message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import grpc
import orjson
from google.protobuf.message import Message

from tier_runtime.local_rpc import CODEC_FAULTS, Codec, LocalRpcError
from tier_runtime.rest.calls import RestCall
from tier_runtime.rest.connections import Incoming, Outgoing, cancelled, late
from tier_runtime.rest.flight import Flight
from tier_runtime.rest.limits import is_too_large, wire_bytes
from tier_runtime.rest.routes import Route, route_of
from tier_runtime.rest.statuses import code_of, status_from
from tier_runtime.rest.wire import (
    ERROR_MEMBER,
    JSON_TYPE,
    NDJSON_TYPE,
    TIMEOUT_HEADER,
    TRAILING_PREFIX,
    headers_from_metadata,
    metadata_from_headers,
    timeout_text,
)
from tier_runtime.status import DETAILS_KEY

if TYPE_CHECKING:
    from grpc import _Metadata

_OK = 200
_ERROR_LINE = b'{"%s":' % ERROR_MEMBER.encode()
_USER_AGENT = "arcana"


class Sender(Protocol):
    """What sends the requests of a channel's methods."""

    def send(self, request: Outgoing, flight: Flight, method: str) -> Incoming:
        """Return the answer, once it has begun. Raises LocalRpcError when there is none."""

    @property
    def max_message_bytes(self) -> int:
        """The largest body, or line of one."""


class RestMethod:
    """One method. A message of its own type is not serialized only to be parsed again."""

    def __init__(self, sender: Sender, method: str, serialize: Codec, deserialize: Codec) -> None:
        self._sender = sender
        self._method = method
        self._serialize = serialize
        self._deserialize = deserialize
        self._route = _known_route(method)
        self._max_bytes = sender.max_message_bytes
        self._wire_bytes = wire_bytes(self._max_bytes)
        self._gives_message = (
            self._route is not None and deserialize == self._route.response_class.FromString
        )

    def answer(self, argument: Any, metadata: _Metadata | None, call: RestCall) -> Any:
        """Return the one answer to a message, or to an iterator of them.

        Raises:
            LocalRpcError: with the status that the other side gave, or that fits what happened.
        """
        incoming = self.open(argument, metadata, call)
        answer = self._received(incoming.read(self._wire_bytes))
        if call.flight.is_late:
            raise late()
        return answer

    def open(self, argument: Any, metadata: _Metadata | None, call: RestCall) -> Incoming:
        """Send, and return an answer that has begun well.

        Raises:
            LocalRpcError: it has not.
        """
        if self._route is None:
            raise LocalRpcError(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        if self._route.request_streaming and self._route.response_streaming:
            raise LocalRpcError(
                grpc.StatusCode.UNIMPLEMENTED,
                f"{self._method} streams in both directions, which HTTP hops cannot: use gRPC.",
            )
        request = self._outgoing(self._route, argument, metadata, call)
        incoming = self._sender.send(request, call.flight, self._method)
        call.begin(incoming.headers)
        if incoming.status == _OK:
            return incoming
        body = incoming.read(self._wire_bytes)
        trailing = metadata_from_headers(incoming.headers, TRAILING_PREFIX)
        raise _error(incoming.status, body, trailing)

    def messages(self, incoming: Incoming) -> Iterator[Any]:
        """Yield the messages of an answer as they come.

        Raises:
            LocalRpcError: it ends with a failure, or in the middle.
        """
        for line in incoming.lines(self._wire_bytes):
            if line.startswith(_ERROR_LINE):
                # Further lines would be none of ours.
                incoming.close()
                raise _error(None, _member(line), ())
            yield self._received(line)

    def _outgoing(
        self, route: Route, argument: Any, metadata: _Metadata | None, call: RestCall
    ) -> Outgoing:
        headers = {"User-Agent": _USER_AGENT}
        left = call.flight.remaining()
        if left is not None:
            headers[TIMEOUT_HEADER] = timeout_text(left)
        if metadata:
            _add(headers, headers_from_metadata(metadata))
        if route.request_streaming:
            headers["Content-Type"] = NDJSON_TYPE
            return Outgoing("POST", route.path, headers, self._lines(route, argument, call))
        try:
            message = self._message(route, argument)
            verb, target, body = route.address(message)
        except CODEC_FAULTS as error:
            raise _unreadable("request") from error
        if body is not None:
            headers["Content-Type"] = JSON_TYPE
            self._check_size(message, body, "request")
        return Outgoing(verb, target, headers, body)

    def _lines(self, route: Route, messages: Iterable[Any], call: RestCall) -> Iterator[bytes]:
        remaining = iter(messages)
        while True:
            try:
                message = next(remaining, remaining)
            # The iterator is the caller's and may raise whatever it likes; as with gRPC that ends
            # the call.
            except Exception as error:
                raise LocalRpcError(
                    grpc.StatusCode.UNKNOWN, "Exception iterating requests!"
                ) from error
            # Also where there is no further message: a body that breaks off, because its call is
            # over, must not end like one that is whole.
            if call.flight.is_cancelled or not call.is_active():
                raise cancelled()
            if call.flight.is_late:
                raise late()
            if message is remaining:
                return
            if call.flight.is_answered():
                # The handler wants no more: what it answers would be lost when the peer closes a
                # connection on which more and more comes.
                return
            try:
                message = self._message(route, message)
                line = route.request.encode(message)
            except CODEC_FAULTS as error:
                raise _unreadable("request") from error
            self._check_size(message, line, "request")
            yield line + b"\n"

    def _check_size(self, message: Message, text: bytes, what: str) -> None:
        if is_too_large(message, len(text), self._max_bytes):
            raise LocalRpcError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"The {what} is larger than {self._max_bytes} bytes.",
            )

    def _message(self, route: Route, argument: Any) -> Message:
        if isinstance(argument, route.request_class):
            return argument
        serialized = argument if self._serialize is None else self._serialize(argument)
        return route.request_class.FromString(serialized)

    def _received(self, text: bytes) -> Any:
        assert self._route is not None  # noqa: S101 - an unknown method has no answer.
        try:
            message = self._route.response.decode(text, ignore_unknown=True)
            self._check_size(message, text, "answer")
            if self._gives_message:
                return message
            serialized = message.SerializeToString()
            return serialized if self._deserialize is None else self._deserialize(serialized)
        except CODEC_FAULTS as error:
            raise _unreadable("response") from error


def _add(headers: dict[str, str], added: Iterable[tuple[str, str]]) -> None:
    for name, value in added:
        # What is given twice arrives as one, as HTTP joins it (RFC 9110, section 5.3).
        headers[name] = f"{headers[name]},{value}" if name in headers else value


def _known_route(method: str) -> Route | None:
    try:
        return route_of(method)
    except KeyError:
        return None


def _error(
    http: int | None, body: bytes, trailing: tuple[tuple[str, str | bytes], ...]
) -> LocalRpcError:
    failure = status_from(http, body)
    if failure.details:
        trailing = ((DETAILS_KEY, failure.SerializeToString()), *trailing)
    return LocalRpcError(code_of(failure.code), failure.message, trailing)


def _member(line: bytes) -> bytes:
    try:
        return orjson.dumps(orjson.loads(line)[ERROR_MEMBER])
    except orjson.JSONDecodeError:
        return b""


def _unreadable(what: str) -> LocalRpcError:
    return LocalRpcError(grpc.StatusCode.INTERNAL, f"Exception in the codec of the {what}.")
