from __future__ import annotations

import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.system.fake_tiers.behaviour import behave


class Ready(BaseHTTPRequestHandler):
    """Says that all is well."""

    def do_GET(self) -> None:
        word = os.environ.get("FAKE_CONTROLLER", "well")
        body = b'{"status": "down"}' if word == "ill" else b"{}"
        self.send_response(503 if word == "ill" else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


def main() -> int:
    host, _, port = os.environ["CONTROLLER_BIND"].partition(":")
    server = ThreadingHTTPServer((host, int(port)), Ready)
    signal.signal(
        signal.SIGTERM, lambda number, frame: threading.Thread(target=server.shutdown).start()
    )
    behave("controller")
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    print("the fake controller ends", flush=True)
    return 0
