"""Answers grpc.health.v1 without holding a thread for a Watch, and without a lock while sending.

grpc_health's own servicer sends while it holds its lock. The callback of a watcher that leaves in
that moment waits for the same lock in the one thread that could complete the sending, and the
server stands still for good; at a drain, when peers leave, that is not rare.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import grpc
from grpc_health.v1 import (  # type: ignore[import-untyped]  # ships no types
    health_pb2,
    health_pb2_grpc,
)

Send = Callable[[object | None], None]

_RESPONSE = health_pb2.HealthCheckResponse


class _Watcher:
    """One open Watch; only the sending thread changes it."""

    def __init__(self, name: str, send: Send) -> None:
        self.name = name
        self.send = send
        self.told: bool | None = None
        self.has_been_told = False


class BoardServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # ships no types
    """Tells what `is_serving` says of a name: True, False, or None when it is unknown.

    An open Watch costs memory, and a round of the sending thread at each change: there are at most
    `max_watches`.
    """

    def __init__(self, is_serving: Callable[[str], bool | None], max_watches: int) -> None:
        self._is_serving = is_serving
        self._max_watches = max_watches
        self._watchers: set[_Watcher] = set()
        self._news = threading.Condition()
        self._has_news = False
        self._closed = False

    def Check(
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> object:
        """Tell of one name now; NOT_FOUND when it is unknown."""
        serving = self._is_serving(request.service)
        if serving is None:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            context.set_details("No such name.")
        return _RESPONSE(status=_status(serving) if serving is not None else _RESPONSE.UNKNOWN)

    def Watch(
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext, send: Send
    ) -> None:
        """Tell of one name now and whenever it changes, until the server stops.

        RESOURCE_EXHAUSTED when there are as many watchers as there may be.
        """
        watcher = _Watcher(request.service, send)
        with self._news:
            closed = self._closed
            is_full = len(self._watchers) >= self._max_watches
            if not closed and not is_full:
                self._watchers.add(watcher)
                self._has_news = True
                self._news.notify_all()
        if is_full and not closed:
            context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
            context.set_details("Too many watchers.")
        if closed or is_full or not context.add_callback(lambda: self._forget(watcher)):
            self._forget(watcher)
            send(None)

    # gRPC gives such a handler the means to send and takes its thread back; grpc_health relies
    # on it too.
    Watch.experimental_non_blocking = True  # type: ignore[attr-defined]  # a mark on the function

    def start(self) -> None:
        """Begin to tell watchers of changes, in a daemon thread."""
        threading.Thread(target=self._tell, name="health", daemon=True).start()

    def notify(self) -> None:
        """Say that something may have changed."""
        with self._news:
            self._has_news = True
            self._news.notify_all()

    def close(self) -> None:
        """End every Watch, after telling what is new: an open one would outlast the drain."""
        with self._news:
            self._closed = True
        self.notify()

    def _forget(self, watcher: _Watcher) -> None:
        with self._news:
            self._watchers.discard(watcher)

    def _tell(self) -> None:
        closed = False
        while not closed:
            with self._news:
                self._news.wait_for(lambda: self._has_news)
                self._has_news = False
                closed = self._closed
                watchers = list(self._watchers)
            for watcher in watchers:
                serving = self._is_serving(watcher.name)
                if not watcher.has_been_told or watcher.told is not serving:
                    watcher.told, watcher.has_been_told = serving, True
                    watcher.send(_RESPONSE(status=_status(serving)))
                if closed:
                    watcher.send(None)


def _status(serving: bool | None) -> int:
    if serving is None:
        unknown: int = _RESPONSE.SERVICE_UNKNOWN
        return unknown
    status: int = _RESPONSE.SERVING if serving else _RESPONSE.NOT_SERVING
    return status
