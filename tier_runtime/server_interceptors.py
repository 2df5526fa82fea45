"""What every incoming RPC gets: the call's context, errors as statuses, one log line.

This is the outermost interceptor. Two facts of grpcio shape it: a plain raise in a servicer sends
the exception's text to the caller, and a streaming handler fails while it is iterated, long after
the call that started it has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.message import DecodeError

from tier_runtime.call import call_scope
from tier_runtime.health import HEALTH_SERVICE
from tier_runtime.rpc_desk import RpcDesk
from tier_runtime.served_rpc import UNREADABLE, ServedRpc, no_request

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

Behaviour = Callable[[Any, grpc.ServicerContext], Any]

# Health answers Watch by callbacks from its own handler, which no wrapper can pass on; and what a
# probe asks needs neither actor nor log line.
_UNTOUCHED = f"/{HEALTH_SERVICE}/"


class CallServerInterceptor(grpc.ServerInterceptor):
    """Wraps the handlers of all four arities; an unknown method stays UNIMPLEMENTED."""

    def __init__(self, desk: RpcDesk) -> None:
        self._desk = desk
        # By method: the handler as it is and wrapped. There are no more of them than methods.
        self._known: dict[str, tuple[Any, Any]] = {}

    def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], grpc.RpcMethodHandler[RequestT, ResponseT] | None
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[RequestT, ResponseT] | None:
        """Return the wrapped handler, or None where there is none."""
        handler = continuation(handler_call_details)
        meter = self._desk.meter
        if handler is None:
            if meter is not None:
                # Not by its name, which its caller made up.
                meter.refused("unknown_method")
            return None
        # gRPC asks for every RPC anew.
        method = handler_call_details.method
        if meter is not None and not method.startswith(_UNTOUCHED):
            meter.arrived()
        known = self._known.get(method)
        if known is None or known[0] is not handler:
            known = self._known[method] = (handler, _reading_all(self.wrapped(method, handler)))
        return cast("grpc.RpcMethodHandler[RequestT, ResponseT]", known[1])

    def wrapped(
        self, method: str, handler: grpc.RpcMethodHandler[RequestT, ResponseT]
    ) -> grpc.RpcMethodHandler[RequestT, ResponseT]:
        """Return the handler of "/package.Service/Method" with all that is done around it."""
        awaits = self._desk.awaits_requests and not handler.request_streaming
        if method.startswith(_UNTOUCHED):
            return self._awaiting(method, handler) if awaits else handler
        make_handler, behaviour = _arity(handler)
        if awaits:
            make_handler = _reading(handler)
        wrap = self._many_answers if handler.response_streaming else self._one_answer
        return make_handler(
            wrap(method, behaviour, request_streaming=handler.request_streaming),
            handler.request_deserializer,
            _unless_bytes(handler.response_serializer),
        )

    def _awaiting(
        self, method: str, handler: grpc.RpcMethodHandler[RequestT, ResponseT]
    ) -> grpc.RpcMethodHandler[RequestT, ResponseT]:
        """Return the handler with nothing around it but the wait for its request."""
        _, behaviour = _arity(handler)
        desk = self._desk

        def answer(messages: Iterator[Any], inner: grpc.ServicerContext, *send: Any) -> Any:
            cutoff = desk.cutoffs.add(desk.limits.default_deadline_seconds, inner.cancel)
            try:
                request = next(messages, None)
            finally:
                cutoff.lift()
            if request is None:
                inner.abort(grpc.StatusCode.UNIMPLEMENTED, no_request(method))
            if request is UNREADABLE:
                inner.abort(grpc.StatusCode.INVALID_ARGUMENT, "The request cannot be read.")
            return behaviour(request, inner, *send)

        # By this mark gRPC knows handlers that answer from elsewhere, with `send`.
        mark = "experimental_non_blocking"
        setattr(answer, mark, getattr(behaviour, mark, False))
        return _reading(handler)(answer, handler.request_deserializer, handler.response_serializer)

    def _one_answer(
        self, method: str, behaviour: Behaviour, *, request_streaming: bool
    ) -> Behaviour:
        def answer(argument: Any, inner: grpc.ServicerContext) -> Any:
            rpc = ServedRpc(self._desk, method, inner, streaming=request_streaming)
            try:
                context = rpc.open()
                given = rpc.given(argument, request_streaming=request_streaming)
                with call_scope(rpc.call):
                    return behaviour(given, context)
            except Exception as error:  # noqa: BLE001 - the outermost frame of every servicer.
                rpc.fail(error)
            finally:
                rpc.close()

        return answer

    def _many_answers(
        self, method: str, behaviour: Behaviour, *, request_streaming: bool
    ) -> Behaviour:
        # A generator does nothing until its first step, so nothing is held by an RPC whose
        # caller went before that; and it is closed when gRPC drops it halfway.
        def answer(argument: Any, inner: grpc.ServicerContext) -> Iterator[Any]:
            rpc = ServedRpc(self._desk, method, inner, streaming=True)
            try:
                context = rpc.open()
                given = rpc.given(argument, request_streaming=request_streaming)
                with call_scope(rpc.call):
                    messages = iter(behaviour(given, context))
                yield from rpc.responses(messages)
            except Exception as error:  # noqa: BLE001 - the outermost frame of every servicer.
                rpc.fail(error)
            finally:
                rpc.close()

        return answer


def _reading_all(
    handler: grpc.RpcMethodHandler[RequestT, ResponseT],
) -> grpc.RpcMethodHandler[RequestT, ResponseT]:
    """Return the handler with messages of a stream that cannot be read as UNREADABLE.

    gRPC would fail the RPC behind the handler's back: to it the stream looks like one that ended
    well, and now and then such an RPC does not end at all and its server can never stop.
    """
    deserialize = handler.request_deserializer
    if not handler.request_streaming or deserialize is None:
        return handler

    def deserialized(message: bytes) -> Any:
        try:
            return deserialize(message)
        except DecodeError:
            return UNREADABLE

    make_handler, behaviour = _arity(handler)
    return make_handler(behaviour, deserialized, handler.response_serializer)


def _reading(
    handler: grpc.RpcMethodHandler[RequestT, ResponseT],
) -> Callable[..., grpc.RpcMethodHandler[RequestT, ResponseT]]:
    """Return what makes a handler that answers like this one, and reads its request itself."""
    if handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler
    return grpc.stream_unary_rpc_method_handler


def _unless_bytes(
    serialize: Callable[[ResponseT], bytes] | None,
) -> Callable[[ResponseT], bytes] | None:
    """Return a serializer that lets pass what a servicer answers in serialized form.

    A cached answer, or one of the next tier that this one need not read, is not decoded only to
    be encoded again.
    """
    if serialize is None:
        return None

    def serialized(answer: ResponseT) -> bytes:
        return answer if isinstance(answer, bytes) else serialize(answer)

    return serialized


def _arity(
    handler: grpc.RpcMethodHandler[RequestT, ResponseT],
) -> tuple[Callable[..., grpc.RpcMethodHandler[RequestT, ResponseT]], Behaviour]:
    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler, cast("Behaviour", handler.stream_stream)
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler, cast("Behaviour", handler.stream_unary)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler, cast("Behaviour", handler.unary_stream)
    return grpc.unary_unary_rpc_method_handler, cast("Behaviour", handler.unary_unary)
