"""One method of a server in this process, as the stubs of its channel run it."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import grpc

from tier_runtime.inproc_calls import LocalFuture
from tier_runtime.local_rpc import (
    CODEC_FAULTS,
    Codec,
    LocalAbort,
    LocalContext,
    LocalRpcError,
    behaviour_of,
)


class Admission(Protocol):
    """What a server lets in, and how it works for callers that do not wait."""

    def enter(self) -> None:
        """Count one RPC in. Raises LocalAbort when there is no room."""

    def leave(self) -> None:
        """Count it out."""

    def run(self, work: Callable[[], None]) -> None:
        """Do work whose caller goes on meanwhile."""


class LocalMethod:
    """One method: hands the caller's message to the handler, and its answer back, as they are.

    Where one side wants bytes and the other a message, it is serialized or parsed once.
    """

    def __init__(
        self,
        admission: Admission,
        handler: grpc.RpcMethodHandler[Any, Any] | None,
        serialize: Codec,
        deserialize: Codec,
    ) -> None:
        self._admission = admission
        self._handler = handler
        self._serialize = serialize
        self._deserialize = deserialize
        # The class behind `SomeMessage.FromString`, which nothing else checks an answer against.
        owner = getattr(deserialize, "__self__", None)
        self._answer_class = owner if isinstance(owner, type) else object
        # Without one the call fails before it comes to this.
        self._behaviour = behaviour_of(handler) if handler else _nothing

    def answer(self, argument: Any, context: LocalContext) -> Any:
        """Run the method in this thread and return its one answer.

        Raises:
            LocalRpcError: with the status that gRPC would give.
        """
        answer = None
        try:
            self._admission.enter()
            try:
                answer = self._received(self._behaviour(self._given(argument, context), context))
            finally:
                self._admission.leave()
            failure = context.failure() or context.set_failure()
        except (LocalAbort, grpc.RpcError) as error:
            failure = _failure(error, context)
        finally:
            context.end()
        if failure is not None:
            raise failure
        return answer

    def answers(self, argument: Any, context: LocalContext) -> Iterator[Any]:
        """Run the method step by step, in the thread that asks for the next answer.

        Raises:
            LocalRpcError: with the status that gRPC would give.
        """
        try:
            self._admission.enter()
            try:
                for answer in self._stream(self._given(argument, context), context):
                    yield self._received(answer)
            finally:
                self._admission.leave()
            failure = context.failure() or context.set_failure()
        except (LocalAbort, grpc.RpcError) as error:
            failure = _failure(error, context)
        finally:
            context.end()
        if failure is not None:
            raise failure

    def submit(self, argument: Any, context: LocalContext) -> LocalFuture:
        """Run the method in another thread."""
        future = LocalFuture(context)
        self._admission.run(lambda: future.run(lambda: self.answer(argument, context)))
        return future

    def _stream(self, given: Any, context: LocalContext) -> Iterator[Any]:
        if not getattr(self._behaviour, "experimental_non_blocking", False):
            return iter(self._behaviour(given, context))
        # Such a handler, health's Watch, sends by itself and says None at the end.
        sent: queue.SimpleQueue[Any] = queue.SimpleQueue()
        context.add_callback(lambda: sent.put(None))
        self._behaviour(given, context, sent.put)
        return iter(sent.get, None)

    def _given(self, argument: Any, context: LocalContext) -> Any:
        if self._handler is None:
            raise LocalAbort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!", ())
        if self._handler.request_streaming:
            return self._requests(argument, context)
        return self._request(argument)

    def _request(self, message: Any) -> Any:
        try:
            if isinstance(message, bytes):
                wanted = self._handler.request_deserializer if self._handler else None
                return message if wanted is None else wanted(message)
            if self._handler is not None and self._handler.request_deserializer is not None:
                return message
            return message if self._serialize is None else self._serialize(message)
        except CODEC_FAULTS as error:
            raise _unreadable("request") from error

    def _requests(self, messages: Iterator[Any], context: LocalContext) -> Iterator[Any]:
        remaining = iter(messages)
        while True:
            if not context.is_active():
                raise _gone(context)
            try:
                message = next(remaining, remaining)
            # The iterator is the caller's and may raise whatever it likes. As with gRPC it ends
            # the call, and the handler learns only that nobody is there any more.
            except Exception as error:
                context.end()
                raise LocalRpcError(
                    grpc.StatusCode.UNKNOWN, "Exception iterating requests!"
                ) from error
            if message is remaining:
                # Who has gone may end its requests too, and has not sent all of them.
                if not context.is_active():
                    raise _gone(context)
                return
            yield self._request(message)

    def _received(self, answer: Any) -> Any:
        try:
            if isinstance(answer, bytes):
                return answer if self._deserialize is None else self._deserialize(answer)
            if self._deserialize is None:
                serialize = self._handler.response_serializer if self._handler else None
                return answer if serialize is None else serialize(answer)
        except CODEC_FAULTS as error:
            raise _unreadable("response") from error
        if not isinstance(answer, self._answer_class):
            raise _unreadable("response")
        return answer


def _nothing(*_given: Any) -> Any:
    return None


def _failure(error: LocalAbort | grpc.RpcError, context: LocalContext) -> LocalRpcError:
    """Return what the caller sees of a handler that ended by itself."""
    gone = context.failure()
    if gone is not None:
        return gone
    if isinstance(error, LocalAbort):
        return LocalRpcError(error.code, error.details, error.trailing_metadata)
    return error if isinstance(error, LocalRpcError) else _gone(context)


def _gone(context: LocalContext) -> LocalRpcError:
    return context.failure() or LocalRpcError(grpc.StatusCode.CANCELLED, "The caller has gone.")


def _unreadable(what: str) -> LocalAbort:
    return LocalAbort(grpc.StatusCode.INTERNAL, f"Exception in the codec of the {what}.", ())
