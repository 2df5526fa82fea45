"""Connections between two requests, and the threads that serve the requests beside the main loop.

For every request gunicorn takes a connection out of its loop and back with a future, a pipe and
two changes of a selector, which costs as much as a small answer itself. Here the kernel is told
once per connection to say when it can be read, and once per request to say it again.
"""

from __future__ import annotations

import math
import select
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from gunicorn.workers.gthread import (  # type: ignore[import-untyped]  # ships no types
    PollableMethodQueue,
)

from tier_runtime.logs import get_logger

_ONCE = select.EPOLLIN | select.EPOLLONESHOT


class IdleConnections:
    """gunicorn's connections that wait for their next request, the one that came first in front.

    Threads add to it, and the main loop takes out of it; whoever took a connection out owns it.
    Its file descriptor is readable while one of the connections is. It is for one process only:
    what is forked shares what the kernel watches.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._epoll = select.epoll()
        self._lock = threading.Lock()
        self._longest = math.inf
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

    def add(self, connection: Any, seconds: float) -> None:
        """Wait for the connection's next request, for so long; see `cap`.

        Raises:
            OSError, ValueError: the connection is closed, or this object.
        """
        descriptor = connection.sock.fileno()
        with self._lock:
            # Looked at in here: a thread that was interrupted after it would come in behind
            # those whose time ends later.
            connection.timeout = self._monotonic() + min(seconds, self._longest)
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

    def take_late(self) -> list[Any]:
        """Take out those whose time is over."""
        late = []
        with self._lock:
            now = self._monotonic()
            while self._waiting:
                descriptor = next(iter(self._waiting))
                if self._waiting[descriptor].timeout > now:
                    break
                late.append(self._waiting.pop(descriptor))
        return late

    def take_all(self) -> list[Any]:
        """Take out all of them."""
        with self._lock:
            everything = list(self._waiting.values())
            self._waiting.clear()
        return everything

    def cap(self, seconds: float) -> None:
        """Let none wait longer than so long from now on, nor those that will be added."""
        with self._lock:
            self._longest = seconds
            latest = self._monotonic() + seconds
            for connection in self._waiting.values():
                connection.timeout = min(connection.timeout, latest)

    def close(self) -> None:
        """Give the file descriptor back."""
        self._epoll.close()


class ServingThreads:
    """Threads that take connections out of a queue; in gunicorn's words a pool.

    They keep no process alive: what must still be served at its end is to be waited for.
    """

    def __init__(self, count: int, serve: Callable[[Any], None]) -> None:
        self._serve = serve
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"http {number}", daemon=True)
            for number in range(count)
        ]

    def start(self) -> None:
        """Begin to serve."""
        for thread in self._threads:
            thread.start()

    def put(self, connection: Any) -> None:
        """Have the connection's request served as soon as there is a thread."""
        connection.queued_at = time.monotonic()
        self._queue.put(connection)

    def shutdown(self, wait: bool = False) -> None:
        """End each thread after what it serves now and what is queued."""
        del wait
        for _ in self._threads:
            self._queue.put(None)

    def join(self, seconds: float) -> None:
        """Wait until the threads have ended, for so long altogether."""
        ends = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(ends - time.monotonic(), 0))

    def _run(self) -> None:
        while (connection := self._queue.get()) is not None:
            try:
                self._serve(connection)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the thread's outermost
                # The others still need this thread.
                get_logger(__name__).error("unexpected_error", exc_info=error)


class MainLoopCalls(PollableMethodQueue):  # type: ignore[misc]  # its base has no types
    """gunicorn's queue of calls for the main loop, which may end while threads go on.

    The numbers of its closed pipe may be those of a client's connection already.
    """

    def __init__(self) -> None:
        super().__init__()
        # A signal's handler takes it too, and may interrupt whoever has it.
        self._lock = threading.RLock()
        self._is_closed = False

    def defer(self, callback: Callable[..., None], *args: Any) -> None:
        """Have it called by the main loop, as long as there is one."""
        with self._lock:
            if not self._is_closed:
                super().defer(callback, *args)

    def close(self) -> None:
        """Give the pipe back, once."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                super().close()
