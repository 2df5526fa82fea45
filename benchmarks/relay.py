"""A TCP relay that counts: for the bytes on the wire, in a pass of its own, since it costs time."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit, urlunsplit

_AT_ONCE = 65_536
_DIAL_SECONDS = 5.0


class CountingRelay:
    """Passes the bytes of a hop on and counts them. Use as a context manager.

    Attributes:
        url: the URL given, through this relay.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        port = self._listener.getsockname()[1]
        self.url = urlunsplit(parts._replace(netloc=f"127.0.0.1:{port}"))
        self._lock = threading.Lock()
        self._up = 0
        self._down = 0
        self._open: set[socket.socket] = set()
        self._accepting = threading.Thread(target=self._accept, name="relay", daemon=True)
        self._accepting.start()

    def counts(self) -> tuple[int, int]:
        """Return the bytes so far: from the caller, and back to it."""
        with self._lock:
            return self._up, self._down

    def __enter__(self) -> CountingRelay:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all connections."""
        # Closing a listening socket does not wake its accept(); shutting it down does.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        with self._lock:
            still_open = list(self._open)
        for each in still_open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with (
            caller,
            contextlib.suppress(OSError),
            socket.create_connection(self._target, _DIAL_SECONDS) as target,
        ):
            target.settimeout(None)
            for each in (caller, target):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ends = {caller, target}
            with self._lock:
                self._open |= ends
            back = threading.Thread(
                target=self._pump, args=(target, caller), kwargs={"up": False}, daemon=True
            )
            back.start()
            self._pump(caller, target, up=True)
            back.join()
            with self._lock:
                self._open -= ends

    def _pump(self, source: socket.socket, sink: socket.socket, *, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_AT_ONCE):
                # Before it is passed on: whoever has the answer finds it counted.
                with self._lock:
                    if up:
                        self._up += len(data)
                    else:
                        self._down += len(data)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
