"""An external directory on this machine that does as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class DirectoryServer:
    """What has come in, and with which status each user is answered."""

    url: str = ""
    received: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    status: Callable[[dict[str, Any]], int] = lambda _user: 204
    body: bytes = b""


@contextmanager
def directory_server() -> Iterator[DirectoryServer]:
    """Serve on a free port until the block ends."""
    told = DirectoryServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            user = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.received.append((self.path, user, self.headers.get("Authorization", "")))
            self.send_response(told.status(user))
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            with suppress(OSError):
                # Who asked may not read all of it.
                self.wfile.write(told.body)

        def log_message(self, *_words: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}/people/"
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
