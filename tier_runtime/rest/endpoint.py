"""One method as the REST server runs it: JSON in, its handler, JSON out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import grpc
import orjson
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types

from tier_runtime.local_rpc import LocalAbort
from tier_runtime.logs import get_logger
from tier_runtime.rest import statuses
from tier_runtime.rest.answers import (
    Answer,
    aborted,
    failed,
    json_answer,
    metadata_headers,
    set_status,
    stream_answer,
)
from tier_runtime.rest.bodies import RestContext
from tier_runtime.rest.limits import is_too_large
from tier_runtime.rest.routes import Route
from tier_runtime.rest.wire import ERROR_MEMBER

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]


# Its caller waits no more, and shall not take what it gets for the whole answer.
_LATE = statuses.status(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")


class Endpoint:
    """Runs one handler; what it answers may be serialized already."""

    def __init__(self, route: Route, handler: Handler, max_message_bytes: int) -> None:
        self.route = route
        self._max_bytes = max_message_bytes
        self._behaviour = _behaviour_of(handler)
        self._serialize: Callable[[Any], bytes] | None = handler.response_serializer
        deserialize = handler.request_deserializer
        # A handler that forwards wants bytes; one of generated code wants the message as it is.
        self._takes_message = deserialize == route.request_class.FromString
        self._deserialize = deserialize or _unchanged

    def answer(self, given: Message | Iterator[Message], context: RestContext) -> Answer:
        """Have the handler answer a message, or those that are being sent."""
        argument = self._argument(given)
        try:
            returned = self._behaviour(argument, context)
            if self.route.response_streaming:
                return _begin(_Messages(self, iter(returned), context))
            body = self.line(returned)
        except Exception as error:  # noqa: BLE001 - the outermost frame of a handler.
            failure, headers = failure_of(error, context)
            context.end()
            return failed(failure, headers=headers)
        failure = context.fault or (_LATE if context.is_late else set_status(context))
        context.end()
        if failure is not None:
            return failed(failure, headers=metadata_headers(context))
        return json_answer(body, metadata_headers(context))

    def line(self, returned: Any) -> bytes:
        """Return what the handler answered as JSON.

        Raises:
            JsonError: it has no JSON form.
            LocalAbort: it is too large.
        """
        route = self.route
        if not isinstance(returned, route.response_class):
            if not isinstance(returned, bytes) and self._serialize is not None:
                returned = self._serialize(returned)
            returned = route.response_class.FromString(returned)
        text = route.response.encode(returned)
        if is_too_large(returned, len(text), self._max_bytes):
            raise LocalAbort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"The answer is larger than {self._max_bytes} bytes.",
                (),
            )
        return text

    def _argument(self, given: Message | Iterator[Message]) -> Any:
        if self._takes_message:
            return given
        if isinstance(given, Message):
            return self._deserialize(given.SerializeToString())
        return (self._deserialize(message.SerializeToString()) for message in given)


class _Messages:
    """The lines of an answer that comes bit by bit; ends with its caller or with the time."""

    def __init__(self, endpoint: Endpoint, messages: Iterator[Any], context: RestContext) -> None:
        self._endpoint = endpoint
        self._messages = messages
        self.context = context
        self._is_over = False
        self._waiting: list[bytes] = []

    def take_first(self) -> bool:
        """Fetch the first line; False when there is none.

        Raises:
            Exception: whatever the handler raises before it has answered anything.
        """
        try:
            self._waiting.append(self._endpoint.line(next(self._messages)) + b"\n")
        except StopIteration:
            return False
        except BaseException:
            self.close()
            raise
        return True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._waiting:
            return self._waiting.pop()
        if self._is_over:
            raise StopIteration
        if not self.context.is_active() and not self.context.is_late:
            # Nobody would read it; the iterator is closed like any other.
            self.close()
            raise StopIteration
        try:
            return self._endpoint.line(next(self._messages)) + b"\n"
        except StopIteration:
            failure = _LATE if self.context.is_late else set_status(self.context)
            self._end()
            if failure is None:
                raise
        except Exception as error:  # noqa: BLE001 - the outermost frame of a handler.
            failure, _ = failure_of(error, self.context)
            self.close()
        return orjson.dumps({ERROR_MEMBER: orjson.Fragment(statuses.status_json(failure))}) + b"\n"

    def close(self) -> None:
        """End the handler where it stands."""
        if self._is_over:
            return
        self._end()
        close = getattr(self._messages, "close", None)
        if close is not None:
            with contextlib.suppress(LocalAbort):
                close()

    def _end(self) -> None:
        self._is_over = True
        self.context.end()


def _begin(messages: _Messages) -> Answer:
    # With the first message in hand, an error before it has a status of its own.
    if messages.take_first():
        return stream_answer(messages, metadata_headers(messages.context))
    failure = _LATE if messages.context.is_late else set_status(messages.context)
    messages.close()
    if failure is not None:
        return failed(failure, headers=metadata_headers(messages.context))
    return stream_answer(messages, metadata_headers(messages.context))


def failure_of(error: Exception, context: RestContext) -> tuple[Status, list[tuple[str, str]]]:
    """Return what a handler's error is to the caller, and the headers that go with it."""
    if context.fault is not None:
        return context.fault, []
    if isinstance(error, LocalAbort):
        return aborted(error)
    if isinstance(error, grpc.RpcError) and not context.is_active():
        return statuses.status(grpc.StatusCode.CANCELLED, "The caller has gone."), []
    # Guarded handlers abort; what comes here is an answer that has no JSON form, or a handler
    # that nobody guards.
    get_logger(__name__).error("unexpected_error", exc_info=error)
    return statuses.status(grpc.StatusCode.INTERNAL, "Internal error."), []


def _behaviour_of(handler: Handler) -> Callable[[Any, grpc.ServicerContext], Any]:
    behaviour = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    assert behaviour is not None  # noqa: S101 - a handler has the one of its arity.
    return behaviour


def _unchanged(serialized: bytes) -> bytes:
    return serialized
