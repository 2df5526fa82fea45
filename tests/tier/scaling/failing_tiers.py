"""Tiers that fail whatever they are asked, in words that forbid no retry."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc


class Seen:
    """How many calls came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls = 0

    def add(self) -> None:
        """Count one more."""
        with self._lock:
            self.calls += 1


class _Refusal(grpc.GenericRpcHandler):
    """Serves every method there is, and health as what nobody serves."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        if "grpc.health" in handler_call_details.method:
            return None
        return grpc.unary_unary_rpc_method_handler(self._refuse)

    def _refuse(self, _request: bytes, context: grpc.ServicerContext) -> bytes:
        self._seen.add()
        # As a proxy says it whose backend is gone: no ErrorInfo, no word about retries.
        context.abort(grpc.StatusCode.UNAVAILABLE, "no healthy upstream")


@contextmanager
def failing_grpc() -> Iterator[tuple[str, Seen]]:
    """Serve gRPC that says UNAVAILABLE to everything; give its URL and what it saw."""
    seen = Seen()
    server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[_Refusal(seen)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}", seen
    finally:
        server.stop(0).wait()


@contextmanager
def failing_http() -> Iterator[tuple[str, Seen]]:
    """Take HTTP requests and close the connection without an answer."""
    seen = Seen()
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                head = connection.recv(65536)
                if not head:
                    return
                if b" /health" not in head:
                    seen.add()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield "http://127.0.0.1:{1}".format(*listener.getsockname()), seen
    finally:
        # A connection without a request ends the thread.
        socket.create_connection(listener.getsockname()).close()
        thread.join(5)
        listener.close()


FAILING = {"grpc": failing_grpc, "http": failing_http}
