"""An HTTP server that does on each connection what a test says, byte by byte."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from functools import partial

from tests.stores.waiting import eventually

Script = Callable[["Peer"], None]


class Peer:
    """The server's side of one connection."""

    def __init__(self, connection: socket.socket, number: int, server: ScriptedServer) -> None:
        self.number = number
        self.server = server
        self._connection = connection
        self._received = b""

    def request(self) -> bytes:
        """Read one request and return it; b"" when the client left. Takes no chunked bodies."""
        while b"\r\n\r\n" not in self._received:
            if not self._receive():
                return b""
        head, _, rest = self._received.partition(b"\r\n\r\n")
        lengths = [
            int(line.partition(b":")[2])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        ]
        size = lengths[0] if lengths else 0
        while len(rest) < size:
            more = self._receive()
            if not more:
                return b""
            rest += more
        self._received = rest[size:]
        self.server.requests.append(head + b"\r\n\r\n" + rest[:size])
        return self.server.requests[-1]

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def answer(self, body: bytes, status: str = "200 OK", headers: str = "") -> None:
        """Send a whole answer."""
        self.send(
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )

    def wait_closed(self) -> None:
        """Return once the client has closed the connection."""
        while self._receive():
            pass
        self.server.closed.append(self.number)

    def reset(self) -> None:
        """Close so that the client gets a reset."""
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._connection.close()

    def _receive(self) -> bytes:
        try:
            data = self._connection.recv(65536)
        except OSError:
            return b""
        self._received += data
        return data


class ScriptedServer:
    """Runs the script for each connection in a thread of its own; a context manager."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopped = threading.Event()
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.requests: list[bytes] = []
        self.accepted = 0
        # Connections whose script has come to its end.
        self.finished = 0
        self.closed: list[int] = []

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> ScriptedServer:
        self._run(self._accept)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped.set()
        # A thread that accepts does not wake up when its socket is closed.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        eventually(lambda: not any(one.is_alive() for one in self._threads), what="its threads end")
        for connection in self._connections:
            connection.close()

    def wait(self, seconds: float) -> bool:
        """Wait in a script, no longer than the test lasts; True when it is over."""
        return self._stopped.wait(seconds)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self.accepted += 1
            peer = Peer(connection, self.accepted, self)
            self._run(partial(self._serve, peer, connection))

    def _serve(self, peer: Peer, connection: socket.socket) -> None:
        # A client that leaves in the middle is what some tests are about.
        with contextlib.suppress(OSError):
            self._script(peer)
        connection.close()
        self.finished += 1

    def _run(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()


def unused_target() -> str:
    """Return an address of this machine where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"
