"""A TCP relay in front of a store or a tier, so that a test can take the neighbour away."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

DIAL_SECONDS = 2.0


class TcpRelay:
    """Passes bytes on until it is told otherwise. Use as a context manager."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._flows = threading.Event()
        self._flows.set()
        self._refuses = False
        self._closed = False
        # Connections so far.
        self.accepted = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.host, self.port = "127.0.0.1", int(self._listener.getsockname()[1])
        self._url = ""
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    @classmethod
    def to(cls, url: str) -> TcpRelay:
        """Make a relay to the host and port of `url`."""
        parts = urlsplit(url)
        if not parts.hostname or not parts.port:
            raise ValueError(f"a relay needs a host and a port: {url}")
        relay = cls(parts.hostname, parts.port)
        user = parts.netloc.rpartition("@")[0]
        netloc = f"{user}@127.0.0.1:{relay.port}" if user else f"127.0.0.1:{relay.port}"
        relay._url = urlunsplit(parts._replace(netloc=netloc))
        return relay

    @property
    def url(self) -> str:
        """The URL given to `to`, through this relay."""
        return self._url

    def cut(self) -> None:
        """Reset all connections, and refuse new ones by resetting them at once."""
        with self._lock:
            self._refuses = True
            self._flows.set()
            for each in self._sockets:
                _reset(each)

    def stall(self) -> None:
        """Keep all connections open and pass nothing on, as a paused server does."""
        self._flows.clear()

    def restore(self) -> None:
        """Pass on again; what was held back by `stall` goes on its way."""
        with self._lock:
            self._refuses = False
        self._flows.set()

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.cut()
        for thread in self._threads:
            thread.join(DIAL_SECONDS * 2)
        self._listener.close()

    def __enter__(self) -> TcpRelay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]  # any callable
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._run(self._serve, caller)

    def _serve(self, caller: socket.socket) -> None:
        try:
            target = socket.create_connection(self._target, DIAL_SECONDS)
        except OSError:
            _reset(caller)
            caller.close()
            return
        target.settimeout(None)
        with self._lock:
            refused = self._refuses
            self._sockets |= {caller, target}
        if refused:
            _reset(caller)
            _reset(target)
        back = threading.Thread(target=self._pump, args=(target, caller), daemon=True)
        back.start()
        self._pump(caller, target)
        back.join()
        with self._lock:
            self._sockets -= {caller, target}
        caller.close()
        target.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Pass bytes on until either side ends; then end the other side's reading too."""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def _reset(connection: socket.socket) -> None:
    """End a connection with RST, as a crashed peer does."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
