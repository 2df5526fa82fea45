"""One outgoing HTTP request: how long it may take, and how somebody else ends it."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time

# On, for zero seconds (socket(7)).
_NO_LINGER = struct.pack("ii", 1, 0)


class FlightCancelledError(Exception):
    """Somebody ended the request."""


class Flight:
    """The time and the connection of one request; `cancel` is for any thread."""

    def __init__(self, seconds: float | None) -> None:
        self.until = None if seconds is None else time.monotonic() + seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._ended = threading.Event()
        self.is_cancelled = False

    def remaining(self) -> float | None:
        """Return the seconds left, None where there is no end."""
        return None if self.until is None else max(self.until - time.monotonic(), 0.0)

    @property
    def is_late(self) -> bool:
        """True when the time is over."""
        return self.until is not None and time.monotonic() >= self.until

    def board(self, connection: socket.socket) -> None:
        """Say on which connection the request travels.

        Raises:
            FlightCancelledError: it was cancelled before.
        """
        with self._lock:
            if self.is_cancelled:
                raise FlightCancelledError
            self._socket = connection

    def leave(self) -> None:
        """Say that the connection is somebody else's from here on."""
        with self._lock:
            self._socket = None

    def is_answered(self) -> bool:
        """True when something of the peer is there to be read, be it that it has left."""
        with self._lock:
            connection = self._socket
        if connection is None:
            return False
        poll = select.poll()
        with contextlib.suppress(ValueError):
            # One that is closed meanwhile has no descriptor.
            poll.register(connection, select.POLLIN)
        return bool(poll.poll(0))

    def cancel(self) -> None:
        """End the request where it is; a thread that waits for its answer wakes up."""
        with self._lock:
            self.is_cancelled = True
            connection = self._socket
            if connection is not None:
                with contextlib.suppress(OSError):
                    # The peer learns of it at once when the connection is closed, and not only
                    # after it has taken all that waits to be sent.
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                    # Closing it here would not wake the other thread.
                    # Under TLS it must be the socket below: the other thread has the rest in use.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
        self._ended.set()

    def wait(self, seconds: float) -> None:
        """Wait, but not beyond the end of the request."""
        left = self.remaining()
        self._ended.wait(seconds if left is None else min(seconds, left))
