"""Connections between two requests, and the threads that serve the requests.

For every request gunicorn takes a connection out of its loop and back with a future, a pipe and
two changes of a selector, which costs as much as a small answer itself. Here the kernel is told
once per connection to say when it can be read, and once per request to say it again.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

_ONCE = select.EPOLLIN | select.EPOLLONESHOT


class IdleConnections:
    """gunicorn's connections that wait for their next request, the one that came first in front.

    Threads add to it, and the main loop takes out of it; whoever took a connection out owns it.
    Its file descriptor is readable while one of the connections is.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._lock = threading.Lock()
        # By file descriptor; those in front are the first whose time is over.
        self._waiting: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __getitem__(self, number: int) -> Any:
        """Return the connection at that place from the front."""
        with self._lock:
            return list(self._waiting.values())[number]

    def fileno(self) -> int:
        """Return what a selector watches."""
        return self._epoll.fileno()

    def add(self, connection: Any, timeout: float) -> None:
        """Wait for the connection's next request, until that time of the monotonic clock.

        Raises:
            OSError, ValueError: the connection is closed.
        """
        descriptor = connection.sock.fileno()
        with self._lock:
            connection.timeout = timeout
            self._waiting[descriptor] = connection
            # In the kernel it stays until it is closed.
            watch = self._epoll.modify if connection.initialized else self._epoll.register
            try:
                watch(descriptor, _ONCE)
            except (OSError, ValueError):
                del self._waiting[descriptor]
                raise

    def take_ready(self) -> list[Any]:
        """Take out those that can be read."""
        events = self._epoll.poll(0)
        with self._lock:
            return [self._waiting.pop(descriptor) for descriptor, _ in events]

    def take_late(self, now: float) -> list[Any]:
        """Take out those whose time is over."""
        late = []
        with self._lock:
            while self._waiting:
                descriptor = next(iter(self._waiting))
                if self._waiting[descriptor].timeout > now:
                    break
                late.append(self._waiting.pop(descriptor))
        return late

    def cap(self, timeout: float) -> None:
        """Let none wait longer than until that time."""
        with self._lock:
            for connection in self._waiting.values():
                connection.timeout = min(connection.timeout, timeout)

    def close(self) -> None:
        """Give the file descriptor back."""
        self._epoll.close()


class ServingThreads:
    """Threads that take connections out of a queue; in gunicorn's words a pool."""

    def __init__(self, count: int, serve: Callable[[Any], None]) -> None:
        self._count = count
        self._serve = serve
        self._queue: SimpleQueue[Any] = SimpleQueue()

    def start(self) -> None:
        """Begin to serve."""
        for number in range(self._count):
            threading.Thread(target=self._run, name=f"http {number}").start()

    def put(self, connection: Any) -> None:
        """Have the connection's request served as soon as there is a thread."""
        connection.queued_at = time.monotonic()
        self._queue.put(connection)

    def shutdown(self, wait: bool = False) -> None:
        """End each thread after what it serves now and what is queued."""
        del wait
        for _ in range(self._count):
            self._queue.put(None)

    def _run(self) -> None:
        while (connection := self._queue.get()) is not None:
            self._serve(connection)
