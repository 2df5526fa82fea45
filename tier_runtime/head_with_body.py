"""Sends the head of an answer together with the first part of its body."""

from __future__ import annotations

import socket
from typing import Any

# What a client may be waiting for before it sends its body (RFC 9110, section 15.2).
_INTERIM = b"HTTP/1.1 1"


class HeadWithBody:
    """A connection's socket while one request is answered.

    gunicorn sends an answer's head by itself, and its body after that: two system calls, two
    packets, and a reader that is woken twice. What is sent first waits here for what is sent next,
    or for `flush`.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._head = b""
        self._is_first = True

    def sendall(self, data: bytes) -> None:
        """Send what waits and this; but keep the first of all."""
        if self._is_first and not data.startswith(_INTERIM):
            self._is_first = False
            self._head = data
            return
        if self._head:
            data, self._head = self._head + data, b""
        self._connection.sendall(data)

    def flush(self) -> None:
        """Send what waits: there may be no body."""
        if self._head:
            data, self._head = self._head, b""
            self._connection.sendall(data)

    def fileno(self) -> int:
        """Return the descriptor, to which the kernel may be about to send a file."""
        self.flush()
        return self._connection.fileno()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("send"):
            # `sendfile` above all: whatever else sends comes after the head.
            self.flush()
        return getattr(self._connection, name)
