"""The process that serves: gunicorn's threaded worker, with better manners towards clients."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from gunicorn import util  # type: ignore[import-untyped]  # ships no types
from gunicorn.http.errors import (  # type: ignore[import-untyped]
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from controller_tier.answer_headers import SECURITY_HEADERS
from controller_tier.problems import MALFORMED_REQUEST, Problem, internal_problem, phrase_of
from controller_tier.request_scope import REQUEST_ID_HEADER, WAITED_SECONDS
from tier_runtime.clock import SystemClock
from tier_runtime.ids import Uuid7Source
from tier_runtime.logs import get_logger

# Of a body that nobody read, so much is read and thrown away to keep the connection.
DRAINED_BYTES = 256 * 1024
# In so much time altogether: a client may send its body byte by byte.
DRAIN_SECONDS = 1.0
_STEP = 16 * 1024


class EdgeWorker(ThreadWorker):  # type: ignore[misc]  # its base has no types
    """gunicorn's threaded worker, with better manners towards clients.

    What never reaches the application gets a problem document, and a stopping worker neither
    resets connections that wait to be accepted nor leaves new ones waiting for nothing. The
    application is told how long a request waited for its thread.
    """

    # gunicorn's count of open connections.
    nr_conns: int
    # What gunicorn calls: the application.
    wsgi: Callable[..., Iterable[bytes]]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._serving = threading.local()
        self._closing = ThreadPoolExecutor(self.cfg.threads, "closing")

    def init_signals(self) -> None:
        """Leave SIGINT to the master: a terminal sends it to every process at once."""
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # The master forked with it blocked.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def enqueue_req(self, conn: Any) -> None:
        """Have the connection's next request handled as soon as there is a thread."""
        conn.queued_at = time.monotonic()
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        """Handle a connection's next request, in a thread."""
        # Here, because what follows waits for the client, and that is its own doing.
        self._serving.waited = time.monotonic() - conn.queued_at
        return super().handle(conn)

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """Wait for the connection's next request, or close it."""
        if fs.cancelled() or fs.exception() is not None or fs.result():
            super().finish_request(conn, fs)
            return
        # Not in the main loop: it lingers for seconds on a client that does not close its side,
        # and nobody else would be accepted meanwhile.
        closing = self._closing.submit(conn.close, graceful=True)
        closing.add_done_callback(lambda _: self.method_queue.defer(self._forget))

    def run(self) -> None:
        """Serve until told to stop."""
        super().run()
        self._closing.shutdown(wait=False, cancel_futures=True)

    def _forget(self) -> None:
        self.nr_conns -= 1

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or end to accept; for good when the worker stops."""
        if self.alive:
            super().set_accept_enabled(enabled)
            return
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
            problem = _unreadable(exc)
        else:
            log.error("unexpected_error", exc_info=exc)
            problem = internal_problem()
        try:
            util.write_nonblock(client, _raw_answer(problem))
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


def _unreadable(error: ParseException) -> Problem:
    if isinstance(error, LimitRequestLine):
        return Problem(414, MALFORMED_REQUEST, "The request line is too long.")
    if isinstance(error, LimitRequestHeaders):
        return Problem(431, MALFORMED_REQUEST, "The header fields are too large or too many.")
    return Problem(400, MALFORMED_REQUEST, "The request is not well-formed HTTP.")


def _raw_answer(problem: Problem) -> bytes:
    request_id = Uuid7Source().new_id()
    # Without a request line there is no path.
    body = problem.document(instance="/", request_id=request_id, now=SystemClock().now())
    headers = {
        **problem.headers(),
        **SECURITY_HEADERS,
        REQUEST_ID_HEADER: request_id,
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {problem.status} {phrase_of(problem.status)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
