"""What every outgoing RPC gets: the current call's metadata, a deadline, and errors of ours."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import grpc

from tier_runtime.call import current_call
from tier_runtime.deadline import deadline_exceeded
from tier_runtime.errors import AppError
from tier_runtime.metadata import metadata_of
from tier_runtime.status import STATUS_CODES, from_rpc_error
from tier_runtime.tracing.outgoing import Outgoing, end_with, ending_of
from tier_runtime.tracing.spans import NO_SPAN, RpcSpan

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

if TYPE_CHECKING:
    from grpc import _CallFuture, _CallIterator, _Metadata

    from tier_runtime.metrics.rpcs import CalledMeter, Ended
else:
    # At run time gRPC has no names for these two shapes, and its Future takes no parameter.
    class _CallFuture(grpc.Call, grpc.Future):
        def __class_getitem__(cls, _item):
            return cls

    class _CallIterator(grpc.Call):
        def __class_getitem__(cls, _item):
            return cls


@dataclass(frozen=True, slots=True)
class CallDetails(grpc.ClientCallDetails):
    """The details of an outgoing RPC after the current call was added to them."""

    method: str
    timeout: float | None
    metadata: _Metadata | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class CallClientInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Makes stubs speak for the current call and raise AppError only.

    An RPC's deadline is what the current call has left minus `hop_margin_seconds`, which leaves
    this tier the time to answer, and never later than a timeout given to the stub. Without
    either it is `default_deadline_seconds`.
    """

    def __init__(
        self,
        *,
        default_deadline_seconds: float,
        hop_margin_seconds: float,
        meter: CalledMeter | None = None,
        outgoing: Outgoing | None = None,
    ) -> None:
        self._default_seconds = default_deadline_seconds
        self._margin_seconds = hop_margin_seconds
        self._meter = meter
        self._outgoing = outgoing or Outgoing()

    def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.ClientCallDetails, RequestT], _CallFuture[ResponseT]],
        client_call_details: grpc.ClientCallDetails,
        request: RequestT,
    ) -> _CallFuture[ResponseT]:
        """Send one message, get one."""
        return self._one_answer(continuation, client_call_details, request)

    def intercept_unary_stream(
        self,
        continuation: Callable[[grpc.ClientCallDetails, RequestT], _CallIterator[ResponseT]],
        client_call_details: grpc.ClientCallDetails,
        request: RequestT,
    ) -> _CallIterator[ResponseT]:
        """Send one message, get many."""
        return self._many_answers(continuation, client_call_details, request)

    def intercept_stream_unary(
        self,
        continuation: Callable[
            [grpc.ClientCallDetails, Iterator[RequestT]], _CallFuture[ResponseT]
        ],
        client_call_details: grpc.ClientCallDetails,
        request_iterator: Iterator[RequestT],
    ) -> _CallFuture[ResponseT]:
        """Send many messages, get one."""
        return self._one_answer(continuation, client_call_details, request_iterator)

    def intercept_stream_stream(
        self,
        continuation: Callable[
            [grpc.ClientCallDetails, Iterator[RequestT]], _CallIterator[ResponseT]
        ],
        client_call_details: grpc.ClientCallDetails,
        request_iterator: Iterator[RequestT],
    ) -> _CallIterator[ResponseT]:
        """Send many messages, get many."""
        return self._many_answers(continuation, client_call_details, request_iterator)

    def _one_answer(
        self,
        continuation: Callable[[grpc.ClientCallDetails, RequestT], _CallFuture[ResponseT]],
        given: grpc.ClientCallDetails,
        request: RequestT,
    ) -> _CallFuture[ResponseT]:
        def send() -> _CallFuture[ResponseT]:
            details, span = self._begun(given)
            if span is NO_SPAN:
                return continuation(details, request)
            outcome = _tried(continuation, details, request, span)
            end_with(span, outcome)
            return outcome

        if self._meter is None:
            return _MappedFuture(send())
        return _MappedFuture(self._meter.one_answer(given.method, send))

    def _many_answers(
        self,
        continuation: Callable[[grpc.ClientCallDetails, RequestT], _CallIterator[ResponseT]],
        given: grpc.ClientCallDetails,
        request: RequestT,
    ) -> _CallIterator[ResponseT]:
        span: RpcSpan = NO_SPAN

        def send() -> _CallIterator[ResponseT]:
            nonlocal span
            details, span = self._begun(given)
            if span is NO_SPAN:
                return continuation(details, request)
            return _tried(continuation, details, request, span)

        ended: Ended | None = None
        if self._meter is None:
            answers = send()
        else:
            answers, ended = self._meter.many_answers(given.method, send)
        if span is NO_SPAN:
            return _MappedIterator(answers, ended)
        return _TracedIterator(answers, ended, span)

    def _begun(self, given: grpc.ClientCallDetails) -> tuple[CallDetails, RpcSpan]:
        metadata = tuple(given.metadata or ())
        timeout = given.timeout
        call = current_call()
        span: RpcSpan = NO_SPAN
        if call is None:
            timeout = self._default_seconds if timeout is None else timeout
        else:
            left = call.deadline.shrunk(self._margin_seconds).remaining()
            timeout = left if timeout is None else min(timeout, left)
        if timeout <= 0:
            raise deadline_exceeded()
        if call is not None:
            span = self._outgoing.begin(given.method, call)
            metadata += tuple(metadata_of(call, span.traceparent))
        details = CallDetails(
            method=given.method,
            timeout=timeout,
            metadata=metadata,
            credentials=given.credentials,
            wait_for_ready=given.wait_for_ready,
            compression=given.compression,
        )
        return details, span


OutcomeT = TypeVar("OutcomeT")


def _tried(
    continuation: Callable[[grpc.ClientCallDetails, RequestT], OutcomeT],
    details: CallDetails,
    request: RequestT,
    span: RpcSpan,
) -> OutcomeT:
    """Send the RPC; one that cannot even begin ends its span."""
    try:
        return continuation(details, request)
    except Exception as error:
        span.end(*ending_of(error))
        raise


class _PassedOn(grpc.Call):
    """What both kinds of RPC pass on unchanged."""

    _inner: grpc.Call

    def add_callback(self, callback: Callable[[], None]) -> bool:
        return self._inner.add_callback(callback)

    def cancel(self) -> bool:
        return self._inner.cancel()

    def is_active(self) -> bool:
        return self._inner.is_active()

    def time_remaining(self) -> float:
        return self._inner.time_remaining()

    def code(self) -> grpc.StatusCode:
        return self._inner.code()

    def details(self) -> str:
        return self._inner.details()

    def initial_metadata(self) -> _Metadata:
        return self._inner.initial_metadata()

    def trailing_metadata(self) -> _Metadata:
        return self._inner.trailing_metadata()


class _MappedFuture(_PassedOn, _CallFuture[ResponseT]):
    """An RPC with one answer, in flight or done, whose failure is an AppError."""

    _inner: _CallFuture[ResponseT]

    def __init__(self, inner: _CallFuture[ResponseT]) -> None:
        self._inner = inner

    def result(self, timeout: float | None = None) -> ResponseT:
        try:
            return self._inner.result(timeout)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error

    def exception(self, timeout: float | None = None) -> Exception | None:
        error = self._inner.exception(timeout)
        return from_rpc_error(error) if isinstance(error, grpc.RpcError) else error

    def traceback(self, timeout: float | None = None) -> object:
        return self._inner.traceback(timeout)

    def add_done_callback(self, fn: Callable[[grpc.Future[ResponseT]], None]) -> None:
        self._inner.add_done_callback(lambda _inner: fn(self))

    def cancelled(self) -> bool:
        return self._inner.cancelled()

    def done(self) -> bool:
        return self._inner.done()

    def running(self) -> bool:
        return self._inner.running()


class _MappedIterator(_PassedOn, _CallIterator[ResponseT]):
    """An RPC with many answers; iterating raises AppError where the stream fails."""

    _inner: _CallIterator[ResponseT]

    def __init__(
        self,
        inner: _CallIterator[ResponseT],
        ended: Ended | None = None,
    ) -> None:
        self._inner = inner
        self._ended = ended
        self._dropped: weakref.finalize[..., _MappedIterator[ResponseT]] | None = None
        if ended is not None:
            # Who drops a stream does not want the rest, and the transport cancels it.
            self._dropped = weakref.finalize(self, ended, grpc.StatusCode.CANCELLED)
            self._dropped.atexit = False

    def __iter__(self) -> Iterator[ResponseT]:
        return self

    def __next__(self) -> ResponseT:
        try:
            return next(self._inner)
        except StopIteration:
            self._tell(grpc.StatusCode.OK)
            raise
        except AppError as error:
            # What kept it from being sent.
            self._tell(STATUS_CODES[error.kind])
            raise
        except grpc.RpcError as error:
            mapped = from_rpc_error(error)
            self._tell(self._inner.code())
            raise mapped from error

    def _tell(self, code: grpc.StatusCode) -> None:
        if self._ended is not None and self._dropped is not None and self._dropped.detach():
            self._ended(code)


class _TracedIterator(_MappedIterator[ResponseT]):
    """One whose span ends with it: read to its end, cancelled, or dropped."""

    def __init__(self, inner: _CallIterator[ResponseT], ended: Ended | None, span: RpcSpan) -> None:
        super().__init__(inner, ended)
        self._span = span

    def __next__(self) -> ResponseT:
        try:
            return super().__next__()
        except StopIteration:
            self._span.end(grpc.StatusCode.OK.name)
            raise
        except AppError as error:
            self._span.end(*ending_of(error))
            raise

    def cancel(self) -> bool:
        is_first = super().cancel()
        if is_first:
            self._span.end(grpc.StatusCode.CANCELLED.name)
        return is_first

    def __del__(self) -> None:
        # Nothing happens where it has ended.
        self._span.end(grpc.StatusCode.CANCELLED.name)
