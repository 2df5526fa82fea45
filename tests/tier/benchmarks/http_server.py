"""A small real HTTP server whose answers a test decides about, byte by byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class SmallServer:
    """Answers each request by `answer(request)`; notes what it was asked.

    Attributes:
        connections: how many it has accepted.
    """

    answer: Callable[[str], bytes]
    requests: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[str]:
        """The first line of each request."""
        return [request.partition("\r\n")[0] for request in self.requests]

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while first := stream.readline():
                head = first
                while (line := stream.readline()) not in {b"\r\n", b""}:
                    head += line
                length = next(
                    (
                        int(line.partition(b":")[2])
                        for line in head.split(b"\r\n")
                        if line.lower().startswith(b"content-length:")
                    ),
                    0,
                )
                request = (head + b"\r\n" + stream.read(length)).decode()
                self.requests.append(request)
                data = self.answer(request)
                if not data:
                    return
                connection.sendall(data)


@contextmanager
def small_server(answer: Callable[[str], bytes] = lambda _request: OK) -> Iterator[SmallServer]:
    """Run a server on a free port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = SmallServer(answer, port=listener.getsockname()[1])
    thread = threading.Thread(target=server.serve, args=(listener,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()
