"""Passes RPCs on to the service tier as bytes: what no rule needs to read is not decoded.

A caller that leaves takes its RPC behind the edge with it, and what the service tier answers goes
back as it came, errors included.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Never

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from controller_tier.access_table import PublicRpc
from controller_tier.grpc_edge.gate import Gate, Pass, malformed
from tier_runtime.context import RpcContext, rpc_context
from tier_runtime.errors import AppError, Kind

# How long a stream of requests that broke off waits for the RPC that is to be cancelled; it is
# there a moment after the stream was handed over.
_BOUND_SECONDS = 5.0


def forwarding_handler(
    rpc: PublicRpc, channel: grpc.Channel, gate: Gate
) -> grpc.RpcMethodHandler[Any, Any]:
    """Return the handler that passes an RPC on over a channel of `open_channel`.

    Raises:
        KeyError: the RPC is in no contract of this program.
    """
    method = descriptor_pool.Default().FindMethodByName(rpc.name.replace("/", "."))
    streams = (method.client_streaming, method.server_streaming)
    if streams == (False, False):
        return grpc.unary_unary_rpc_method_handler(_unary_unary(rpc, method, channel, gate))
    if streams == (False, True):
        return grpc.unary_stream_rpc_method_handler(_unary_stream(rpc, method, channel, gate))
    if streams == (True, False):
        return grpc.stream_unary_rpc_method_handler(_stream_unary(rpc, channel, gate))
    return grpc.stream_stream_rpc_method_handler(_stream_stream(rpc, channel, gate))


def _unary_unary(
    rpc: PublicRpc, method: MethodDescriptor, channel: grpc.Channel, gate: Gate
) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(rpc.path)
    passed: Pass = gate.of(rpc)

    def forward(request: bytes, inner: grpc.ServicerContext) -> bytes:
        context = rpc_context(inner)
        future = call.future(passed(request, context))
        _end_together(context, future)
        try:
            return _result(future, context)
        except AppError as error:
            raise _explained(error, method, request) from error

    return forward


def _unary_stream(
    rpc: PublicRpc, method: MethodDescriptor, channel: grpc.Channel, gate: Gate
) -> Callable[[bytes, grpc.ServicerContext], Iterator[bytes]]:
    call: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(rpc.path)
    passed: Pass = gate.of(rpc)

    def forward(request: bytes, inner: grpc.ServicerContext) -> Iterator[bytes]:
        context = rpc_context(inner)
        answers = call(passed(request, context))
        _end_together(context, answers)
        try:
            yield from _answers(answers, context)
        except AppError as error:
            raise _explained(error, method, request) from error

    return forward


def _stream_unary(
    rpc: PublicRpc, channel: grpc.Channel, gate: Gate
) -> Callable[[Iterator[bytes], grpc.ServicerContext], bytes]:
    call: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(rpc.path)

    def forward(messages: Iterator[bytes], inner: grpc.ServicerContext) -> bytes:
        context = rpc_context(inner)
        gate.count_stream(rpc, context)
        requests = _Requests(messages)
        future = call.future(iter(requests))
        requests.bind(future)
        _end_together(context, future)
        try:
            return _result(future, context)
        except (AppError, grpc.RpcError) as error:
            raise requests.fault or error from error

    return forward


def _stream_stream(
    rpc: PublicRpc, channel: grpc.Channel, gate: Gate
) -> Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[bytes]]:
    call: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(rpc.path)

    def forward(messages: Iterator[bytes], inner: grpc.ServicerContext) -> Iterator[bytes]:
        context = rpc_context(inner)
        gate.count_stream(rpc, context)
        requests = _Requests(messages)
        answers = call(iter(requests))
        requests.bind(answers)
        _end_together(context, answers)
        try:
            yield from _answers(answers, context)
        except (AppError, grpc.RpcError) as error:
            raise requests.fault or error from error

    return forward


class _Requests:
    """A caller's messages on their way; where they break off, the RPC behind the edge is cancelled.

    gRPC reads them in a thread of its own, where nobody would hear of an error, and to end in
    silence would tell the service tier that it has them all. Other transports read them in the
    thread that calls, and there an error is just raised.
    """

    def __init__(self, messages: Iterator[bytes]) -> None:
        self._messages = messages
        self._thread = threading.get_ident()
        self._bound = threading.Event()
        self._call: Any = None
        self.fault: AppError | grpc.RpcError | None = None

    def bind(self, call: Any) -> None:
        """Say which RPC carries the messages on."""
        self._call = call
        self._bound.set()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._messages
            return
        except (AppError, grpc.RpcError) as error:
            self.fault = error
        if threading.get_ident() == self._thread:
            raise self.fault
        if self._bound.wait(_BOUND_SECONDS):
            self._call.cancel()


def _end_together(context: RpcContext, call: Any) -> None:
    """Cancel the RPC behind the edge when the caller's one is over; done ones take no harm."""
    if not context.add_callback(call.cancel):
        call.cancel()


def _result(future: Any, context: RpcContext) -> bytes:
    try:
        answer: bytes = future.result()
    except grpc.FutureCancelledError as error:
        _gone(error)
    except AppError as error:
        if not context.is_active():
            _gone(error)
        raise
    return answer


def _answers(answers: Iterator[bytes], context: RpcContext) -> Iterator[bytes]:
    try:
        yield from answers
    except AppError as error:
        # What ended it is that it was cancelled, because the caller has gone.
        if not context.is_active():
            _gone(error)
        raise


def _gone(error: Exception) -> Never:
    # How gRPC itself tells a handler that nobody waits for it any more.
    raise grpc.RpcError("The caller has gone.") from error


def _explained(error: AppError, method: MethodDescriptor, request: bytes) -> AppError:
    """Return the error as it came, but where it is the caller's own fault.

    The service tier's gRPC calls bytes that are no message an internal error. Only then they are
    looked at here.
    """
    if error.kind is not Kind.INTERNAL:
        return error
    try:
        GetMessageClass(method.input_type).FromString(request)
    except DecodeError:
        return malformed()
    return error
