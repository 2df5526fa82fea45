"""One method as the REST server runs it: JSON in, its handler, JSON out."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import grpc
import orjson
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types

from tier_runtime.local_rpc import LocalAbort, behaviour_of
from tier_runtime.logs import get_logger
from tier_runtime.rest import statuses
from tier_runtime.rest.answers import (
    Answer,
    aborted,
    failed,
    failure_at_end,
    json_answer,
    metadata_headers,
    stream_answer,
)
from tier_runtime.rest.bodies import RestContext
from tier_runtime.rest.limits import is_too_large
from tier_runtime.rest.routes import Route
from tier_runtime.rest.wire import ERROR_MEMBER

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]


_GONE = statuses.status(grpc.StatusCode.CANCELLED, "The caller has gone.")


class Endpoint:
    """Runs one handler; what it answers may be serialized already."""

    def __init__(self, route: Route, handler: Handler, max_message_bytes: int) -> None:
        self.route = route
        self._max_bytes = max_message_bytes
        self._behaviour = behaviour_of(handler)
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
        failure = context.fault or failure_at_end(context)
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
    """The lines of an answer that comes bit by bit; ends with its caller or with the time.

    However it ends before its handler does, its reader must not take it for whole: a last line
    says why. To a caller that seems to have gone the body is broken off instead, without HTTP's
    own mark of its end.
    """

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
        failure = self._cut_off()
        if failure is not None:
            self.close()
            return _error_line(failure)
        try:
            return self._endpoint.line(next(self._messages)) + b"\n"
        except StopIteration:
            # Perhaps the handler ended because it saw that nobody waits.
            failure = self._cut_off() or failure_at_end(self.context)
            self._end()
            if failure is None:
                raise
        except Exception as error:  # noqa: BLE001 - the outermost frame of a handler.
            failure, _ = failure_of(error, self.context)
            self.close()
        return _error_line(failure)

    def _cut_off(self) -> Status | None:
        """Return what ended the RPC on this side, None while it goes on.

        Once its time is over the handler is asked all the same: it says so better.

        Raises:
            ConnectionResetError: the caller has gone.
        """
        context = self.context
        if context.is_active() or context.is_late:
            return None
        if context.is_cancelled:
            return failure_at_end(context)
        self.close()
        # The server takes it quietly for what it is, and sends nothing more.
        raise ConnectionResetError(errno.ECONNRESET, _GONE.message)

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
    context = messages.context
    failure = failure_at_end(context) or (None if context.is_active() else _GONE)
    messages.close()
    if failure is not None:
        return failed(failure, headers=metadata_headers(context))
    return stream_answer(messages, metadata_headers(context))


def failure_of(error: Exception, context: RestContext) -> tuple[Status, list[tuple[str, str]]]:
    """Return what a handler's error is to the caller, and the headers that go with it."""
    if context.fault is not None:
        return context.fault, []
    if isinstance(error, LocalAbort):
        return aborted(error)
    if isinstance(error, grpc.RpcError) and not context.is_active():
        return failure_at_end(context) or _GONE, []
    # Guarded handlers abort; what comes here is an answer that has no JSON form, or a handler
    # that nobody guards.
    get_logger(__name__).error("unexpected_error", exc_info=error)
    return statuses.status(grpc.StatusCode.INTERNAL, "Internal error."), []


def _error_line(failure: Status) -> bytes:
    return orjson.dumps({ERROR_MEMBER: orjson.Fragment(statuses.status_json(failure))}) + b"\n"


def _unchanged(serialized: bytes) -> bytes:
    return serialized
