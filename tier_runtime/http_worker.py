"""The process that serves: gunicorn's threaded worker, with better manners towards clients."""

from __future__ import annotations

import math
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any

import grpc
from gunicorn import util  # type: ignore[import-untyped]  # ships no types
from gunicorn.http.body import ChunkedReader  # type: ignore[import-untyped]
from gunicorn.http.errors import (  # type: ignore[import-untyped]
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.workers.gthread import (  # type: ignore[import-untyped]
    STOP_KEEPALIVE_LINGER,
    ThreadWorker,
)

from tier_runtime.http_connections import IdleConnections, ServingThreads
from tier_runtime.logs import get_logger
from tier_runtime.rest.statuses import http_fault, status_json
from tier_runtime.rest.wire import JSON_TYPE
from tier_runtime.wsgi_environ import IN_FLIGHT, TAKE_INPUT, WAITED_SECONDS

# Of a body that nobody read, so much is read and thrown away to keep the connection.
DRAINED_BYTES = 256 * 1024
# In so much time altogether: a client may send its body byte by byte.
DRAIN_SECONDS = 1.0
_STEP = 16 * 1024
# How often the main loop looks at anything but requests.
LOOK_AROUND_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer of the worker itself."""

    status: int
    phrase: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def text(self) -> bytes:
        """Return what is sent; the connection ends with it."""
        headers = {
            **self.headers,
            "Content-Length": str(len(self.body)),
            "Connection": "close",
        }
        lines = [f"HTTP/1.1 {self.status} {self.phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + self.body


class HttpWorker(ThreadWorker):  # type: ignore[misc]  # its base has no types
    """gunicorn's threaded worker, with better manners towards clients.

    What never reaches the application gets the answer that `raw_answer` makes, and a stopping
    worker neither resets connections that wait to be accepted nor leaves new ones waiting for
    nothing. The application is told how long a request waited for its thread, and how many
    others there are.
    """

    # gunicorn's count of open connections.
    nr_conns: int
    # What gunicorn calls: the application.
    wsgi: Callable[..., Iterable[bytes]]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._serving = threading.local()
        self._closing = ThreadPoolExecutor(self.cfg.threads, "closing")
        self._idle = IdleConnections()
        # What gunicorn looks at when it decides whether a connection may be kept.
        self.keepalived_conns = self._idle
        self._keepalive_seconds = self.cfg.keepalive
        self._counting = threading.Lock()
        self._in_flight = 0
        self._is_stopping = False

    def raw_answer(self, status: int, detail: str) -> RawAnswer:
        """Return what is answered to a request that could not be read, or that failed (500).

        That is a google.rpc.Status, as on every REST hop.
        """
        ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        code = grpc.StatusCode.INTERNAL if ours else grpc.StatusCode.INVALID_ARGUMENT
        reason = "INTERNAL_ERROR" if ours else "MALFORMED_REQUEST"
        body = status_json(http_fault(code, reason, detail))
        return RawAnswer(status, HTTPStatus(status).phrase, {"Content-Type": JSON_TYPE}, body)

    def init_signals(self) -> None:
        """Leave SIGINT to the master: a terminal sends it to every process at once."""
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # The master forked with it blocked.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def get_thread_pool(self) -> ServingThreads:
        """Return the threads, not yet started."""
        return ServingThreads(self.cfg.threads, self._serve)

    def enqueue_req(self, conn: Any) -> None:
        """Take on a new connection; it gets a thread when its first request is there."""
        self._idle.add(conn, time.monotonic() + self._keepalive_seconds)

    def handle(self, conn: Any) -> Any:
        """Handle a connection's next request, in a thread."""
        # Here, because what follows waits for the client, and that is its own doing.
        self._serving.waited = time.monotonic() - conn.queued_at
        self._serving.in_flight = self._in_flight
        try:
            return super().handle(conn)
        finally:
            with self._counting:
                self._in_flight -= 1

    def run(self) -> None:
        """Serve until told to stop."""
        self.tpool.start()
        self.poller.register(self._idle.fileno(), selectors.EVENT_READ, self._dispatch)
        super().run()
        self._closing.shutdown(wait=False, cancel_futures=True)
        self._idle.close()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Serve for a moment.

        After each return gunicorn sees to its parent, its heartbeat and the connections that are
        idle for too long; under load that is a system call or two for every request.
        """
        ends = time.monotonic() + LOOK_AROUND_SECONDS
        super().wait_for_and_dispatch_events(timeout)
        while self.alive and self.nr_conns < self.worker_connections:
            left = ends - time.monotonic()
            if left <= 0:
                return
            super().wait_for_and_dispatch_events(left)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close the connections that have been idle for too long, or all."""
        for conn in self._idle.take_late(math.inf if force else time.monotonic()):
            self.nr_conns -= 1
            conn.close()

    def _cap_keepalive(self, deadline: float) -> None:
        self._idle.cap(deadline)

    def _dispatch(self, _idle: int) -> None:
        for conn in self._idle.take_ready():
            # gunicorn would look for itself whether a new connection has anything to say.
            conn.data_ready = True
            self._put(conn)

    def _put(self, conn: Any) -> None:
        with self._counting:
            self._in_flight += 1
        self.tpool.put(conn)

    def _serve(self, conn: Any) -> None:
        """Serve one request, then wait for the connection's next one, or close it; in a thread."""
        if not self.handle(conn):
            self._close(conn)
        elif conn.parser.unreader.buf.getvalue():
            # The next request has been read already, so the kernel has nothing to tell of it.
            self._put(conn)
        else:
            seconds = self._keepalive_seconds if self.alive else STOP_KEEPALIVE_LINGER
            try:
                self._idle.add(conn, time.monotonic() + seconds)
            except (OSError, ValueError):
                self._close(conn)

    def _close(self, conn: Any) -> None:
        # In threads of their own: it lingers for seconds on a client that does not close its side.
        closing = self._closing.submit(conn.close, graceful=True)
        closing.add_done_callback(lambda _: self.method_queue.defer(self._forget))

    def _forget(self) -> None:
        self.nr_conns -= 1

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or end to accept; for good when the worker stops."""
        if self.alive:
            super().set_accept_enabled(enabled)
            return
        if not self._is_stopping:
            self._is_stopping = True
            self.app.begin_stop()
        # A signal in the middle of the main loop brings it here a second time.
        open_listeners = [listener for listener in self.sockets if listener.sock is not None]
        for listener in open_listeners:
            # Their clients are connected, and may have sent their requests already.
            before = -1
            while before != self.nr_conns:
                before = self.nr_conns
                self.accept(listener)
        if open_listeners:
            super().set_accept_enabled(False)
        for listener in open_listeners:
            # The kernel refuses new connections once the last process has closed it.
            listener.close()

    def load_wsgi(self) -> None:
        """Load the application, and watch over what its answers leave unread."""
        super().load_wsgi()
        self.wsgi = _ClosesWhatIsUnread(self.wsgi, self._serving)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Have one request answered."""
        self._serving.request, self._serving.connection = req, conn
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that could not be read, or that failed outside of the application."""
        del req, addr
        log = get_logger(__name__)
        ours = isinstance(exc, (InvalidResponseHeader, InvalidResponseHeaderName))
        if isinstance(exc, ParseException) and not ours:
            # Not the error's text: it quotes what the client sent.
            log.warning("malformed_request", error=type(exc).__name__)
            answer = self.raw_answer(*_unreadable(exc))
        else:
            log.error("unexpected_error", exc_info=exc)
            answer = self.raw_answer(500, "Internal error.")
        try:
            util.write_nonblock(client, answer.text())
        except OSError:
            log.debug("error_not_sent")


class _ClosesWhatIsUnread:
    """Reads what the application left of a body, or says that the connection ends.

    gunicorn closes a connection on which more than 64 kB are unread, after an answer that promised
    to keep it: the client's next request would be lost.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], serving: threading.local) -> None:
        self._app = app
        self._serving = serving

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        serving = self._serving

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if not _is_drained(environ["wsgi.input"], serving.connection.parser.unreader):
                serving.request.force_close()
            return start_response(status, headers, exc_info)

        environ[WAITED_SECONDS] = serving.waited
        environ[IN_FLIGHT] = serving.in_flight
        environ[TAKE_INPUT] = partial(_take, environ["wsgi.input"])
        return self._app(environ, start)


class _ImpatientSocket:
    """Receives until a time. A timeout of the socket itself begins anew with each byte."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._until = time.monotonic() + seconds

    def recv(self, size: int) -> bytes:
        """Return what has come; raise TimeoutError when the time is over."""
        remaining = self._until - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._connection.settimeout(remaining)
        return self._connection.recv(size)


def _take(body: Any) -> bytes:
    reader = body.reader
    try:
        if not isinstance(reader, ChunkedReader):
            part: bytes = reader.read(_STEP)
            return part
        # Asked for one byte, it fetches one chunk; the others are there then.
        first: bytes = reader.read(1)
        return first + reader.read(reader.buf.tell()) if first else b""
    except (OSError, ParseException):
        # Where the next request begins is not known any more.
        body.failed = True
        raise


def _is_drained(body: Any, unreader: Any) -> bool:
    connection = unreader.sock
    unreader.sock = _ImpatientSocket(connection, DRAIN_SECONDS)
    try:
        for _ in range(DRAINED_BYTES // _STEP):
            if not body.read(_STEP):
                return True
    except (OSError, ParseException):
        return False
    finally:
        unreader.sock = connection
        # As gunicorn has it while a thread serves: blocking, within the listener's own timeout.
        connection.setblocking(True)
    return False


def _unreadable(error: ParseException) -> tuple[int, str]:
    if isinstance(error, LimitRequestLine):
        return 414, "The request line is too long."
    if isinstance(error, LimitRequestHeaders):
        return 431, "The header fields are too large or too many."
    return 400, "The request is not well-formed HTTP."
