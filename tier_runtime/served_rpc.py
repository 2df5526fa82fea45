"""One incoming RPC from its first byte of metadata to its line in the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Never, TypeGuard

import grpc

from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.context import RpcContext
from tier_runtime.cutoffs import Cutoff, Patience
from tier_runtime.deadline import Deadline, deadline_exceeded
from tier_runtime.errors import PEER_NOT_ALLOWED, AppError, Kind
from tier_runtime.metadata import (
    request_id_from,
    traceparent_from,
    tracestate_from,
)
from tier_runtime.rpc_desk import NO_DEADLINE_SECONDS, RpcDesk
from tier_runtime.status import DETAILS_KEY, STATUS_CODES, internal_error, to_status
from tier_runtime.tracing.spans import Carried

if TYPE_CHECKING:
    from grpc import _Metadata


# Stands in a stream of requests for a message that is none of the method's.
UNREADABLE = object()

# gRFC A6: a negative number tells the caller's channel not to send the RPC again. An error of ours
# was tried as often as it may be by the one who saw the transport fail; a caller that repeated it
# would multiply the attempts with each hop.
_DO_NOT_RETRY = (("grpc-retry-pushback-ms", "-1"),)

_WARNED = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"})


@dataclass(frozen=True, slots=True)
class _Ending(grpc.Status):
    """How an RPC ends that fails."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: _Metadata


class TooManyStreamsError(Exception):
    """All slots for streams are taken."""


class NoRequestError(Exception):
    """The caller has finished, and sent no message where there must be one."""


def no_request(method: str) -> str:
    """Return what gRPC itself says, with UNIMPLEMENTED, where a request is missing."""
    return f'"{method}" requires exactly one request message.'


class ServedRpc:
    """Opens, guards, fails and closes one RPC. Used by the thread that serves it."""

    def __init__(
        self, desk: RpcDesk, method: str, inner: grpc.ServicerContext, *, streaming: bool
    ) -> None:
        self._desk = desk
        self._method = method
        self._inner = inner
        self._streaming = streaming
        self._began = desk.clock.monotonic()
        self._holds_slot = False
        self._holds_turn = False
        self._is_let_in = False
        self._cutoff: Cutoff | None = None
        self._patience: Patience | None = None
        self._code = ""
        self._fields: dict[str, Any] = {}
        # What the servicer adds to the line.
        self._notes: dict[str, object] = {}

        self._metadata = tuple(inner.invocation_metadata() or ())
        left = inner.time_remaining()
        most, default = desk.limits.deadlines_of(method)
        # Otherwise gRPC does not know of the end that is set here.
        self._ends_by_itself = left <= most and left < NO_DEADLINE_SECONDS
        seconds = min(left, most) if left < NO_DEADLINE_SECONDS else default
        traceparent = traceparent_from(self._metadata)
        tracestate = tracestate_from(self._metadata) if traceparent else ""
        self._span = desk.tracing.served(
            method, desk.transport, Carried(traceparent, tracestate), begins=desk.begins_traces
        )
        self.call = Call(
            actor=Actor(),
            request_id=request_id_from(self._metadata, desk.ids),
            deadline=Deadline.after(seconds, desk.clock.monotonic),
            # One who does not trace passes on what came.
            traceparent=self._span.traceparent or traceparent,
            tracestate=tracestate,
        )
        if desk.meter is not None:
            desk.meter.opened(method, left if left < NO_DEADLINE_SECONDS else None)

    def open(self) -> RpcContext:
        """Admit the RPC and return the context for its servicer.

        Raises:
            AppError: the peer may not call it, the time left is not worth beginning, or is over
                before its turn comes, or the actor cannot be read.
            TooManyStreamsError: it is a stream and there are as many as there may be.
        """
        # First of all: whom the peer speaks for is believed of those who are let in only.
        self._desk.admit(self._method, self._inner)
        self._is_let_in = True
        if self.call.deadline.remaining() < self._desk.limits.min_deadline_seconds:
            self._refused("late")
            raise deadline_exceeded()
        actor = self._desk.find_actor(self._method, self._metadata, self.call)
        self.call = replace(self.call, actor=actor)
        if self._streaming and self._method not in self._desk.limits.short_streams:
            # An open stream holds a thread of the pool. Without a bound of their own, as many
            # streams as threads would leave none for unary calls.
            if not self._desk.stream_slots(self._method).acquire(blocking=False):
                self._refused("too_many_streams")
                raise TooManyStreamsError
            self._holds_slot = True
        elif self._desk.turns is not None:
            # Threads that wait for streams would otherwise do this work too, more of it at once
            # than what it needs, such as connections to a database, is there for.
            if not self._desk.turns.acquire(timeout=self.call.deadline.remaining()):
                self._refused("no_turn")
                raise deadline_exceeded()
            self._holds_turn = True
        if (self._streaming or self._desk.awaits_requests) and not self._ends_by_itself:
            # A peer without a deadline that stops sending would hold its thread for ever.
            # A millisecond later, so that whoever looks then finds the deadline passed.
            seconds = self.call.deadline.remaining() + 0.001
            self._cutoff = self._desk.cutoffs.add(seconds, self._inner.cancel)
        limits = self._desk.limits
        if self._method in limits.max_deadline_seconds_of:
            # A stream that has minutes would be held for minutes by who sends or reads nothing.
            self._patience = Patience(
                self._desk.cutoffs, limits.max_deadline_seconds, self._inner.cancel
            )
        return RpcContext(self._inner, self.call, self._notes)

    def given(self, argument: Any, *, request_streaming: bool) -> Any:
        """Return what the servicer gets for what gRPC hands over.

        Raises:
            AppError, NoRequestError: what `only_request` raises, where that is used.
        """
        if request_streaming:
            return self.requests(argument)
        return self.only_request(argument) if self._desk.awaits_requests else argument

    def requests(self, messages: Iterator[Any]) -> Iterator[Any]:
        """Yield the caller's messages while there is time left.

        To gRPC's iterator a cancelled stream can look like one that ended well. This tells the
        two apart when it was the time that ended it, or our patience, and where it is known by
        then that the caller has left. That can become known a moment later, so what must be whole
        needs a mark of its end in the messages.

        Raises:
            AppError: the time is over, or a message cannot be read.
            grpc.RpcError: the caller has gone.
        """
        end = object()
        while True:
            with self._waiting():
                message = next(messages, end)
            self.call.deadline.check()
            if self._patience is not None and self._patience.is_lost:
                raise deadline_exceeded()
            if message is end:
                if not self._inner.is_active():
                    raise grpc.RpcError("The caller has gone.")
                return
            if message is UNREADABLE:
                raise AppError(Kind.INVALID, "MALFORMED_BODY", "A message cannot be read.")
            yield message

    def only_request(self, messages: Iterator[Any]) -> Any:
        """Wait for the one message of a caller that sends no stream, and return it.

        As with gRPC's own handlers of this kind, nobody looks whether there is a second one.

        Raises:
            AppError: the time is over, or the message cannot be read.
            NoRequestError: there is none.
        """
        for message in self.requests(messages):
            if not self._streaming and self._cutoff is not None:
                # From here on what the servicer does keeps to the deadline, and can say so.
                self._cutoff.lift()
            return message
        raise NoRequestError

    def responses(self, messages: Iterator[Any]) -> Iterator[Any]:
        """Yield the servicer's messages while there is time left.

        The scope is opened for each step: between two steps the thread is gRPC's.
        """
        end = object()
        try:
            while True:
                with call_scope(self.call):
                    self.call.deadline.check()
                    message = next(messages, end)
                if message is end:
                    return
                with self._waiting():
                    yield message
        finally:
            close = getattr(messages, "close", None)
            if close is not None:
                with call_scope(self.call):
                    close()

    def fail(self, error: Exception) -> Never:
        """End the RPC with the status that the error means; the only place that aborts."""
        if isinstance(error, TooManyStreamsError):
            # Overload, so no ErrorInfo: callers take it for a reason to come again later.
            self._code = "RESOURCE_EXHAUSTED"
            self._inner.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many open streams.")
        if isinstance(error, NoRequestError):
            self._code = "UNIMPLEMENTED"
            self._inner.abort(grpc.StatusCode.UNIMPLEMENTED, no_request(self._method))
        if isinstance(error, grpc.RpcError) and not self._inner.is_active():
            # How gRPC tells a handler that reads requests that its caller has gone.
            self._code = self._code_of_the_gone()
            raise error
        shown = error if self._is_the_callers(error) else internal_error()
        if shown.kind is Kind.INTERNAL:
            self._fields["exc_info"] = error
        self._code = STATUS_CODES[shown.kind].name
        if shown.kind is Kind.UNAVAILABLE and not self._inner.is_active():
            # What this one called has been cancelled together with it, and nothing was away.
            self._code = self._code_of_the_gone()
        self._fields["error"] = shown.code
        status = to_status(shown)
        trailing: _Metadata = ((DETAILS_KEY, status.SerializeToString()),)
        if shown.kind is Kind.UNAVAILABLE:
            trailing += _DO_NOT_RETRY
        self._inner.abort_with_status(_Ending(STATUS_CODES[shown.kind], status.message, trailing))

    def _is_the_callers(self, error: Exception) -> TypeGuard[AppError]:
        """True for an error that says something to whoever called."""
        if not isinstance(error, AppError):
            return False
        # A tier that does not let this process in has nothing to do with who is let in here.
        return not (self._is_let_in and error.code == PEER_NOT_ALLOWED)

    def close(self) -> None:
        """Give back what the RPC holds and write its line."""
        if self._cutoff is not None:
            self._cutoff.lift()
        if self._patience is not None:
            self._patience.end()
        if self._holds_slot:
            self._holds_slot = False
            self._desk.stream_slots(self._method).release()
        if self._holds_turn and self._desk.turns is not None:
            self._holds_turn = False
            self._desk.turns.release()
        code = self._code or ("OK" if self._inner.is_active() else self._code_of_the_gone())
        self._span.end(code, str(self._fields.get("error", "")))
        elapsed = self._desk.clock.monotonic() - self._began
        if self._desk.meter is not None:
            self._desk.meter.closed(self._method, code, elapsed)
        with call_scope(self.call):
            log = self._desk.log
            write = log.info
            if "exc_info" in self._fields:
                write = log.error
            elif code in _WARNED:
                write = log.warning
            elif code == "OK" and self._method in self._desk.quiet_methods:
                write = log.debug
            fields = {
                **self._notes,
                "method": self._method,
                "code": code,
                "duration_ms": round(elapsed * 1000, 3),
                "actor": self.call.actor.subject or None,
                **self._fields,
            }
            write("rpc", **fields)

    def _refused(self, reason: str) -> None:
        if self._desk.meter is not None:
            self._desk.meter.refused(reason)

    def _waiting(self) -> AbstractContextManager[None]:
        """Return what the thread is in while it waits for the caller."""
        return nullcontext() if self._patience is None else self._patience.waiting()

    def _code_of_the_gone(self) -> str:
        return "CANCELLED" if self.call.deadline.remaining() else "DEADLINE_EXCEEDED"
