"""Leaves a tier alone that is gone or too slow: a breaker around a channel.

It stands inside of what maps errors, next to the transport, because it must tell who said what: a
tier that answers UNAVAILABLE with a reason of its own lives, and only a part behind it is missing.
Were that counted, one cache that is down would close the way to everything else.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import grpc

from tier_runtime.breaker import Breaker, BreakerOpenError
from tier_runtime.errors import AppError, Kind
from tier_runtime.health import HEALTH_SERVICE
from tier_runtime.status import DETAILS_KEY

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

if TYPE_CHECKING:
    from grpc import _CallFuture, _CallIterator

# Who gave a call less time than this learns nothing about the peer from its end. Without the bound
# a stranger could open the breaker for all others by calls with tiny deadlines.
PATIENCE_SECONDS = 1.0

# What the breaker is never asked about: it is how one finds out that the peer is back.
_HEALTH = f"/{HEALTH_SERVICE}/"


class BreakingInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Refuses RPCs while the breaker is open, and tells it how those end that it let through.

    Failures are UNAVAILABLE from the transport, and DEADLINE_EXCEEDED of a call that had at least
    `patience_seconds`, also where the peer itself says it with a reason: who notices first that the
    time is over is chance, and a tier so slow that it answers nothing in time, its neighbour being
    slow perhaps, must be left alone until it has caught up. Overload (RESOURCE_EXHAUSTED) and every
    other answer come from a peer that lives. A call that its own caller cancels, or a stream that
    its reader drops, says nothing.

    An RPC that is refused raises AppError UNAVAILABLE/SERVICE_UNAVAILABLE with the time after
    which one will be let through.
    """

    def __init__(self, breaker: Breaker, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._breaker = breaker
        self._patience = patience_seconds

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
        details: grpc.ClientCallDetails,
        request: RequestT,
    ) -> _CallFuture[ResponseT]:
        if _is_health(details):
            return continuation(details, request)
        self._enter()
        outcome = continuation(details, request)
        is_patient = details.timeout is None or details.timeout >= self._patience
        # At once, in this thread, where the call has ended already.
        outcome.add_done_callback(lambda _: self._note(outcome, deadline_counts=is_patient))
        return outcome

    def _many_answers(
        self,
        continuation: Callable[[grpc.ClientCallDetails, RequestT], _CallIterator[ResponseT]],
        details: grpc.ClientCallDetails,
        request: RequestT,
    ) -> _CallIterator[ResponseT]:
        if _is_health(details):
            return continuation(details, request)
        self._enter()
        outcome = continuation(details, request)
        # A stream that nobody holds any more is cancelled, and the channel holds its callbacks: one
        # that held the stream would keep it open to its deadline. A reader that lets go in the very
        # moment in which a stream ends may cost the breaker one note.
        watched = weakref.ref(outcome)

        def note() -> None:
            ended = watched()
            if ended is not None:
                # That the time of a stream is over is as likely the reader's doing as the peer's.
                self._note(ended, deadline_counts=False)

        if not outcome.add_callback(note):
            note()
        return outcome

    def _enter(self) -> None:
        try:
            self._breaker.enter()
        except BreakerOpenError as error:
            raise AppError(
                Kind.UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "A part of the service is not available.",
                retry_after=error.seconds,
            ) from error

    def _note(self, ended: grpc.Call, *, deadline_counts: bool) -> None:
        code = ended.code()
        if code is grpc.StatusCode.CANCELLED:
            return
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            if deadline_counts:
                self._breaker.note(succeeded=False)
            return
        is_gone = code is grpc.StatusCode.UNAVAILABLE and not _has_reason(ended)
        self._breaker.note(succeeded=not is_gone)


def _is_health(details: grpc.ClientCallDetails) -> bool:
    return details.method.startswith(_HEALTH)


def _has_reason(ended: grpc.Call) -> bool:
    return any(key == DETAILS_KEY for key, _ in ended.trailing_metadata() or ())
