"""An RPC that no gRPC server runs: what its handler gets as context, and how it fails its caller.

The in-process channel and the REST server run the same guarded handlers as a gRPC server does.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Never

import grpc
from google.protobuf.message import DecodeError, EncodeError

from tier_runtime.deadline import Deadline

if TYPE_CHECKING:
    from grpc import _Metadata

    class AnyFuture(grpc.Future[Any]):
        pass
else:
    # At run time gRPC's Future takes no parameter.
    AnyFuture = grpc.Future

# What a stub serializes its messages with, or parses them; None leaves them as they are.
Codec = Callable[[Any], Any] | None

# What protobuf's codecs raise on a message that is not theirs.
CODEC_FAULTS = (DecodeError, EncodeError, TypeError, ValueError, AttributeError)


def behaviour_of(handler: grpc.RpcMethodHandler[Any, Any]) -> Callable[..., Any]:
    """Return what a handler does, whichever arity it has.

    Raises:
        TypeError: it does nothing.
    """
    found = handler.unary_unary or handler.unary_stream or handler.stream_unary
    behaviour = found or handler.stream_stream
    if behaviour is None:
        raise TypeError("A handler has a behaviour for one arity.")
    return behaviour


class LocalAbort(Exception):
    """Ends a handler whose context was told to abort; whoever runs the handler catches it."""

    def __init__(self, code: grpc.StatusCode, details: str, trailing_metadata: _Metadata) -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details
        self.trailing_metadata = trailing_metadata


class LocalContext(grpc.ServicerContext):
    """gRPC's context, for one RPC.

    `seconds` is the time left, None where the caller set no end. `is_caller_there` is asked each
    time the handler asks. Whoever runs the handler calls `end` when it is over.
    """

    def __init__(
        self,
        metadata: Iterable[tuple[str, str | bytes]] = (),
        seconds: float | None = None,
        *,
        peer: str = "",
        is_caller_there: Callable[[], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metadata = tuple(metadata)
        self._deadline = None if seconds is None else Deadline.after(seconds, clock)
        self._peer = peer
        self._is_caller_there = is_caller_there
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._timer: threading.Timer | None = None
        self._is_over = False
        self.is_cancelled = False
        self.code = grpc.StatusCode.OK
        self.details = ""
        self._initial: _Metadata = ()
        self._trailing: _Metadata = ()

    @property
    def is_late(self) -> bool:
        """True when the time is over."""
        return self._deadline is not None and self._deadline.remaining() <= 0

    def is_active(self) -> bool:
        """True while somebody waits for the answer."""
        if self._is_over or self.is_late:
            return False
        return self._is_caller_there is None or self._is_caller_there()

    def time_remaining(self) -> float:
        """Return the seconds left; infinite where the caller set no end."""
        return math.inf if self._deadline is None else self._deadline.remaining()

    def cancel(self) -> bool:
        """Say that nobody waits any more, unless it is over; the handler runs on until it looks."""
        with self._lock:
            if self._is_over:
                return False
            self.is_cancelled = True
        self.end()
        return True

    def failure(self) -> LocalRpcError | None:
        """Return what a caller sees that stopped waiting; None while it waits."""
        if self.is_cancelled:
            return LocalRpcError(grpc.StatusCode.CANCELLED, "Cancelled.")
        if self.is_late:
            return LocalRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline exceeded.")
        return None

    def set_failure(self) -> LocalRpcError | None:
        """Return the failure that the servicer set without aborting; None where it set none."""
        if self.code is grpc.StatusCode.OK:
            return None
        return LocalRpcError(self.code, self.details, self._trailing)

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Have `callback` called when the RPC is over; False when it already is."""
        with self._lock:
            if self._is_over:
                return False
            self._callbacks.append(callback)
            # Only for a handler that wants to be told: a timer is a thread.
            if self._deadline is not None and self._timer is None:
                self._timer = threading.Timer(self._deadline.remaining(), self.end)
                self._timer.daemon = True
                self._timer.start()
        return True

    def end(self) -> None:
        """Say that the RPC is over, and tell those who asked to be told; once is enough."""
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
            timer, self._timer = self._timer, None
            self._is_over = True
        if timer is not None:
            timer.cancel()
        for callback in callbacks:
            callback()

    def abort(self, code: grpc.StatusCode, details: str) -> Never:
        """End the handler with a status."""
        raise LocalAbort(code, details, self._trailing)

    def abort_with_status(self, status: grpc.Status) -> Never:
        """End the handler with a status and its details."""
        raise LocalAbort(status.code, status.details, tuple(status.trailing_metadata or ()))

    def auth_context(self) -> Mapping[str, bytes]:
        """Return nothing: there is no TLS."""
        return {}

    def invocation_metadata(self) -> _Metadata:
        """Return what the caller sent beside its message."""
        return self._metadata

    def peer(self) -> str:
        """Return the caller's address as gRPC writes it."""
        return self._peer

    def peer_identities(self) -> Iterable[bytes] | None:
        """Return nothing: there is no TLS."""
        return None

    def peer_identity_key(self) -> str | None:
        """Return nothing: there is no TLS."""
        return None

    def send_initial_metadata(self, initial_metadata: _Metadata) -> None:
        """Keep the answer's leading metadata."""
        self._initial = tuple(initial_metadata)

    def initial_metadata(self) -> _Metadata:
        """Return the leading metadata set so far."""
        return self._initial

    def set_trailing_metadata(self, trailing_metadata: _Metadata) -> None:
        """Set the answer's trailing metadata."""
        self._trailing = tuple(trailing_metadata)

    def trailing_metadata(self) -> _Metadata:
        """Return the trailing metadata set so far."""
        return self._trailing

    def set_code(self, code: grpc.StatusCode) -> None:
        """Set the status with which the RPC ends when the handler returns."""
        self.code = code

    def set_details(self, details: str) -> None:
        """Set the status text."""
        self.details = details

    def set_compression(self, compression: grpc.Compression) -> None:
        """Do nothing: it is gRPC's own."""

    def disable_next_message_compression(self) -> None:
        """Do nothing: it is gRPC's own."""


class LocalRpcError(grpc.RpcError, grpc.Call, AnyFuture):
    """A failed RPC of a channel that is not gRPC's, in the shape of one that is.

    gRPC's own interceptors take what is raised for the finished call itself.
    """

    def __init__(
        self, code: grpc.StatusCode, details: str, trailing_metadata: _Metadata = ()
    ) -> None:
        super().__init__(code, details)
        self._code = code
        self._details = details
        self._trailing = tuple(trailing_metadata)

    def __str__(self) -> str:
        return f"{self._code.name}: {self._details}"

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def initial_metadata(self) -> _Metadata:
        return ()

    # The two bases promise different types of one and the same thing.
    def trailing_metadata(self) -> Any:
        return self._trailing

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> float:
        return 0.0

    def add_callback(self, callback: Callable[[], None]) -> bool:
        del callback
        return False

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return self._code is grpc.StatusCode.CANCELLED

    def done(self) -> bool:
        return True

    def running(self) -> bool:
        return False

    def result(self, timeout: float | None = None) -> Never:
        del timeout
        raise self

    def exception(self, timeout: float | None = None) -> Exception:
        del timeout
        return self

    def traceback(self, timeout: float | None = None) -> Any:
        del timeout
        return self.__traceback__

    def add_done_callback(self, fn: Callable[[grpc.Future[Any]], None]) -> None:
        fn(self)
