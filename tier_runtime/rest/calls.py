"""RPCs of a REST channel as their caller sees them: in flight, or over."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import grpc

from tier_runtime.local_rpc import AnyFuture, LocalRpcError
from tier_runtime.rest.connections import Incoming, cancelled, late
from tier_runtime.rest.flight import Flight
from tier_runtime.rest.wire import INITIAL_PREFIX, TRAILING_PREFIX, metadata_from_headers

if TYPE_CHECKING:
    from grpc import _Metadata


class RestCall(grpc.Call):
    """One RPC; `on_end` is called once, when it is over."""

    def __init__(self, flight: Flight, on_end: Callable[[Flight], None]) -> None:
        self.flight = flight
        self._on_end = on_end
        self._changed = threading.Condition()
        self._is_over = False
        self._error: LocalRpcError | None = None
        self._headers: Sequence[tuple[str, str]] = ()
        self._callbacks: list[Callable[[], None]] = []

    def begin(self, headers: Sequence[tuple[str, str]]) -> None:
        """Keep what came before the answer."""
        self._headers = headers

    def end(self, error: LocalRpcError | None = None) -> bool:
        """Say how the RPC ended; False when it had ended before."""
        with self._changed:
            if self._is_over:
                return False
            self._is_over, self._error = True, error
            callbacks, self._callbacks = self._callbacks, []
            self._changed.notify_all()
        self._on_end(self.flight)
        for callback in callbacks:
            callback()
        return True

    def is_active(self) -> bool:
        return not self._is_over

    def time_remaining(self) -> float:
        left = self.flight.remaining()
        return math.inf if left is None else left

    def cancel(self) -> bool:
        if self._is_over:
            return False
        # In this order: the thread that is woken would end it too, and the answer be False.
        is_first = self.end(cancelled())
        self.flight.cancel()
        return is_first

    def add_callback(self, callback: Callable[[], None]) -> bool:
        with self._changed:
            if self._is_over:
                return False
            self._callbacks.append(callback)
        return True

    def initial_metadata(self) -> _Metadata:
        return metadata_from_headers(self._headers, INITIAL_PREFIX)

    def trailing_metadata(self) -> _Metadata:
        if self._error is not None:
            return tuple(self._error.trailing_metadata())
        return metadata_from_headers(self._headers, TRAILING_PREFIX)

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.OK if self._error is None else self._error.code()

    def details(self) -> str:
        return "" if self._error is None else self._error.details()


class RestFuture(RestCall, AnyFuture):
    """An RPC with one answer that runs in another thread."""

    _answer: Any = None

    def run(self, answer: Callable[[RestCall], Any]) -> None:
        """Find the answer, or how the RPC failed; for the thread that works."""
        # What a fault of ours would leave for ever without an end.
        error: LocalRpcError | None = LocalRpcError(grpc.StatusCode.UNKNOWN, "The call failed.")
        try:
            self._answer = answer(self)
            error = None
        except LocalRpcError as known:
            error = known
        finally:
            self.end(error)

    def settled(self) -> Any:
        """Return the answer as a call that blocks does.

        Raises:
            LocalRpcError: there is none.
        """
        self._wait(None)
        if self._error is not None:
            raise self._error
        return self._answer

    def cancelled(self) -> bool:
        return self._is_over and RestCall.code(self) is grpc.StatusCode.CANCELLED

    def done(self) -> bool:
        return self._is_over

    def running(self) -> bool:
        return not self._is_over

    def result(self, timeout: float | None = None) -> Any:
        error = self.exception(timeout)
        if error is not None:
            raise error
        return self._answer

    def exception(self, timeout: float | None = None) -> Exception | None:
        self._wait(timeout)
        if self.cancelled():
            raise grpc.FutureCancelledError
        return self._error

    def traceback(self, timeout: float | None = None) -> Any:
        error = self.exception(timeout)
        return None if error is None else error.__traceback__

    def add_done_callback(self, fn: Callable[[grpc.Future[Any]], None]) -> None:
        if not self.add_callback(lambda: fn(self)):
            fn(self)

    def code(self) -> grpc.StatusCode:
        self._wait(None)
        return super().code()

    def details(self) -> str:
        self._wait(None)
        return super().details()

    def trailing_metadata(self) -> Any:
        self._wait(None)
        return super().trailing_metadata()

    def _wait(self, timeout: float | None) -> None:
        left = self.flight.remaining()
        is_first = left is not None and (timeout is None or left <= timeout)
        with self._changed:
            if self._changed.wait_for(lambda: self._is_over, left if is_first else timeout):
                return
        if not is_first:
            raise grpc.FutureTimeoutError
        # The thread that works is held up by something that has no time-out: the caller's own
        # iterator of requests.
        if self.end(late()):
            self.flight.cancel()


class RestStream(RestCall):
    """An RPC with many answers. It begins when the first one is asked for."""

    def __init__(
        self,
        flight: Flight,
        on_end: Callable[[Flight], None],
        open_answer: Callable[[RestCall], Incoming],
        messages: Callable[[Incoming], Iterator[Any]],
    ) -> None:
        super().__init__(flight, on_end)
        self._open = open_answer
        self._messages = messages
        self._incoming: Incoming | None = None
        self._steps: Iterator[Any] | None = None
        self._stepping = threading.Lock()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with self._stepping:
            if self._is_over:
                self._raise()
            try:
                if self._steps is None:
                    self._incoming = self._open(self)
                    self._steps = self._messages(self._incoming)
                return next(self._steps)
            except StopIteration:
                self.end()
                self._raise()
            except LocalRpcError as error:
                self.end(error)
                self._close()
                self._raise()

    def cancel(self) -> bool:
        if not super().cancel():
            return False
        # Whoever is in the middle of a step finds the connection closed.
        if self._stepping.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._stepping.release()
        return True

    def _raise(self) -> None:
        # What ended it first counts: a cancelled RPC also finds its connection broken.
        raise StopIteration if self._error is None else self._error

    def _close(self) -> None:
        if self._incoming is not None:
            self._incoming.close()

    def __del__(self) -> None:
        # As with gRPC: who drops a stream does not want the rest.
        with contextlib.suppress(AttributeError):
            self.cancel()
