"""A stream of requests as its sender writes it: message by message, in its own thread.

A stub wants an iterator, which gRPC reads in a thread of its own, where an error of the sender is
lost, and reads on although the answer is there. Who passes on a stream that it reads itself, and
may have to refuse it midway, needs it the other way round.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

import grpc

from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
ResponseT_co = TypeVar("ResponseT_co", covariant=True)

# Messages that wait for the transport. More would be memory, and no faster.
MOST_WAITING = 2


class Answering(Protocol[ResponseT_co]):
    """An RPC in flight, as far as it matters here; gRPC's own futures are such."""

    def result(self) -> ResponseT_co: ...
    def cancel(self) -> bool: ...
    def add_done_callback(self, fn: Callable[[Any], None], /) -> None: ...


class TakesStream(Protocol[RequestT_contra, ResponseT_co]):
    """A stub's method that takes a stream of requests, as far as it matters here."""

    def future(self, request_iterator: Iterator[RequestT_contra], /) -> Answering[ResponseT_co]: ...


class Upstream(Generic[RequestT, ResponseT]):
    """One RPC with a stream of requests, in flight. A block that it is left by an error cancels it.

    The sender never has more than `MOST_WAITING` messages ahead of the transport.
    """

    def __init__(self, call: TakesStream[RequestT, ResponseT], deadline: Deadline) -> None:
        self._deadline = deadline
        self._changed = threading.Condition()
        self._waiting: deque[RequestT] = deque()
        self._is_complete = False
        self._is_over = False
        self._future = call.future(self._messages())
        self._future.add_done_callback(lambda _future: self._end())

    def __enter__(self) -> Upstream[RequestT, ResponseT]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Done ones take no harm.
        self._future.cancel()
        self._end()

    def send(self, message: RequestT) -> bool:
        """Send the next message; False once the RPC is over, which `finish` tells more about.

        Raises:
            AppError: DEADLINE/DEADLINE_EXCEEDED.
        """
        with self._changed:
            self._changed.wait_for(self._has_room, self._deadline.remaining())
            if self._is_over:
                return False
            self._deadline.check()
            self._waiting.append(message)
            self._changed.notify_all()
        return True

    def finish(self) -> ResponseT:
        """Say that there are no more messages, and return the answer.

        Raises:
            AppError: how the RPC failed.
        """
        with self._changed:
            self._is_complete = True
            self._changed.notify_all()
        try:
            return self._future.result()
        except grpc.FutureCancelledError as error:
            # Not by this side, which waits: the peer is shutting down.
            raise AppError(
                Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "A part of the service is not available."
            ) from error

    def _has_room(self) -> bool:
        return self._is_over or len(self._waiting) < MOST_WAITING

    def _end(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _messages(self) -> Iterator[RequestT]:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: bool(self._waiting) or self._is_complete or self._is_over
                )
                if self._is_over or not self._waiting:
                    return
                message = self._waiting.popleft()
                self._changed.notify_all()
            yield message
