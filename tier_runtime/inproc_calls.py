"""RPCs to a server in this process as their callers see them, in flight or over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import grpc

from tier_runtime.local_rpc import AnyFuture, LocalContext, LocalRpcError

if TYPE_CHECKING:
    from grpc import _Metadata


class LocalCall(grpc.Call):
    """What all kinds of calls have."""

    def __init__(self, context: LocalContext) -> None:
        self._context = context
        self._error: LocalRpcError | None = None

    def is_active(self) -> bool:
        return self._context.is_active()

    def time_remaining(self) -> float:
        return self._context.time_remaining()

    def cancel(self) -> bool:
        return self._context.cancel()

    def add_callback(self, callback: Callable[[], None]) -> bool:
        return self._context.add_callback(callback)

    def initial_metadata(self) -> _Metadata:
        return self._context.initial_metadata()

    def trailing_metadata(self) -> _Metadata:
        if self._error is not None:
            return tuple(self._error.trailing_metadata())
        return self._context.trailing_metadata()

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.OK if self._error is None else self._error.code()

    def details(self) -> str:
        return "" if self._error is None else self._error.details()


class LocalFuture(LocalCall, AnyFuture):
    """An RPC that runs in another thread."""

    def __init__(self, context: LocalContext) -> None:
        super().__init__(context)
        self._lock = threading.Condition()
        self._is_done = False
        self._answer: Any = None
        self._callbacks: list[Callable[[grpc.Future[Any]], None]] = []
        # The caller does not wait for a handler that does not look at the time.
        context.add_callback(self._gone)

    def run(self, answer: Callable[[], Any]) -> None:
        """Find the answer, or how the RPC failed; for the thread that works."""
        # What a fault of ours would leave for ever without an end.
        error = LocalRpcError(grpc.StatusCode.UNKNOWN, "The handler failed.")
        try:
            self._resolve(answer(), None)
        except LocalRpcError as known:
            error = known
        finally:
            self._resolve(None, error)

    def cancelled(self) -> bool:
        return self._is_done and self.code() is grpc.StatusCode.CANCELLED

    def done(self) -> bool:
        return self._is_done

    def running(self) -> bool:
        return not self._is_done

    def result(self, timeout: float | None = None) -> Any:
        error = self.exception(timeout)
        if error is not None:
            raise error
        return self._answer

    def exception(self, timeout: float | None = None) -> Exception | None:
        with self._lock:
            if not self._lock.wait_for(lambda: self._is_done, timeout):
                raise grpc.FutureTimeoutError
        if self.cancelled():
            raise grpc.FutureCancelledError
        return self._error

    def traceback(self, timeout: float | None = None) -> Any:
        error = self.exception(timeout)
        return None if error is None else error.__traceback__

    def add_done_callback(self, fn: Callable[[grpc.Future[Any]], None]) -> None:
        with self._lock:
            if not self._is_done:
                self._callbacks.append(fn)
                return
        fn(self)

    def _gone(self) -> None:
        error = self._context.failure()
        if error is not None:
            self._resolve(None, error)

    def _resolve(self, answer: Any, error: LocalRpcError | None) -> None:
        with self._lock:
            if self._is_done:
                return
            self._is_done, self._answer, self._error = True, answer, error
            callbacks, self._callbacks = self._callbacks, []
            self._lock.notify_all()
        for callback in callbacks:
            callback(self)


class LocalStream(LocalCall):
    """An RPC with many answers, each made when it is asked for."""

    def __init__(self, context: LocalContext, answers: Iterator[Any]) -> None:
        super().__init__(context)
        self._answers: Any = answers
        # Held while the handler runs: a generator cannot be closed meanwhile.
        self._stepping = threading.Lock()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._error is not None:
            raise self._error
        with self._stepping:
            try:
                answer = next(self._answers)
            except LocalRpcError as error:
                self._error = error
                raise
            self._error = self._context.failure()
            if self._error is not None:
                self._answers.close()
                raise self._error
        return answer

    def cancel(self) -> bool:
        if not self._context.cancel():
            return False
        # Whoever is in the middle of a step closes it then.
        if self._stepping.acquire(blocking=False):
            try:
                self._answers.close()
                self._error = self._context.failure()
            finally:
                self._stepping.release()
        return True

    def __del__(self) -> None:
        # As with gRPC: who drops a stream does not want the rest.
        self.cancel()
