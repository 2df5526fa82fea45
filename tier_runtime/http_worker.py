"""The process that serves: gunicorn's threaded worker, with better manners towards clients."""

from __future__ import annotations

import errno
import math
import selectors
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import FrameType
from typing import Any

from gunicorn import util  # type: ignore[import-untyped]  # ships no types
from gunicorn.http.errors import (  # type: ignore[import-untyped]
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    ParseException,
)
from gunicorn.workers.gthread import (  # type: ignore[import-untyped]
    STOP_KEEPALIVE_LINGER,
    ThreadWorker,
)

from tier_runtime.head_with_body import HeadWithBody
from tier_runtime.http_connections import IdleConnections, MainLoopCalls, ServingThreads
from tier_runtime.logs import get_logger
from tier_runtime.raw_answers import RawAnswer, hop_answer, unreadable
from tier_runtime.unread_bodies import ClosesWhatIsUnread

# How often the main loop looks at anything but requests.
LOOK_AROUND_SECONDS = 0.25
# For so long nothing is accepted after this machine or process had no room for a connection.
ACCEPT_PAUSE_SECONDS = 0.25
# Requests in flight have so long to end where the main loop failed.
FAILED_DRAIN_SECONDS = 2.0

# No room: of file descriptors or memory, or (ENOSPC) of what epoll may watch.
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC})
# Of one connection, not of the listener (accept(2)): "treat them like EAGAIN by retrying".
_NOT_OURS = frozenset(
    {
        *(errno.ENETDOWN, errno.EPROTO, errno.ENOPROTOOPT, errno.EHOSTDOWN, errno.ENONET),
        *(errno.EHOSTUNREACH, errno.EOPNOTSUPP, errno.ENETUNREACH, errno.EPERM),
    }
)


class HttpWorker(ThreadWorker):  # type: ignore[misc]  # its base has no types
    """gunicorn's threaded worker, with better manners towards clients.

    What never reaches the application gets the answer that `raw_answer` makes, and a stopping
    worker neither resets connections that wait to be accepted nor leaves new ones waiting for
    nothing. The application is told how long a request waited for its thread; where it wants no
    more than so many at a time, the newest are refused before anything is read of them. Where
    connections have a greatest age, a request on one that is older is answered with the word that
    it was the last; HTTP/1.1 knows no way to say so in between.
    """

    # gunicorn's count of open connections; the main thread's only.
    nr_conns: int
    _idle: IdleConnections
    _closing: ThreadPoolExecutor
    # What gunicorn calls: the application.
    wsgi: Callable[..., Iterable[bytes]]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._serving = threading.local()
        self.method_queue = MainLoopCalls()
        self._keepalive_seconds = self.cfg.keepalive
        self._counting = threading.Lock()
        self._in_flight = 0
        self._max_in_flight: float = math.inf
        self._accept_again = 0.0
        self._is_stopping = False
        # When a worker that was told to stop does so; infinite while none told it.
        self._stops_at = math.inf

    def init_process(self) -> None:
        """Begin in the worker: what belongs to one process is made after the fork."""
        # What gunicorn looks at when it decides whether a connection may be kept.
        self._idle = self.keepalived_conns = IdleConnections()
        self._closing = ThreadPoolExecutor(self.cfg.threads, "closing")
        super().init_process()

    def raw_answer(self, status: int, detail: str) -> RawAnswer:
        """Return what is answered to a request that could not be read, or that failed (500).

        503 is for those that exceed the application's `max_in_flight`, where it has one.
        """
        return hop_answer(status, detail)

    def init_signals(self) -> None:
        """Leave SIGINT to the master: a terminal sends it to every process at once."""
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # The master forked with it blocked.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, after a pause in which callers learn of it; a second signal ends the pause."""
        pause = self.app.stop_pause_seconds
        if not pause or self._stops_at < math.inf:
            super().handle_exit(sig, frame)
            return
        self._stops_at = time.monotonic() + pause
        self.method_queue.defer(self._begin_stop)

    def _begin_stop(self) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self.app.begin_stop()

    def get_thread_pool(self) -> ServingThreads:
        """Return the threads, not yet started."""
        return ServingThreads(self.cfg.threads, self._serve)

    def accept(self, listener: Any) -> None:
        """Accept a connection; where there is no room for it, none for a moment.

        The listener stays readable, so the main loop would ask for it all the time.
        """
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno in _NO_ROOM:
                get_logger(__name__).warning("accepting_paused", error=error.strerror)
                self._accept_again = time.monotonic() + ACCEPT_PAUSE_SECONDS
                super().set_accept_enabled(False)
            elif error.errno not in _NOT_OURS:
                raise

    def enqueue_req(self, conn: Any) -> None:
        """Take on a new connection; it gets a thread when its first request is there."""
        conn.ends_at = time.monotonic() + self.app.connection_age_seconds()
        try:
            self._idle.add(conn, self._keepalive_seconds)
        except OSError:
            self._forget()
            conn.close()
            raise

    def handle(self, conn: Any) -> Any:
        """Handle a connection's next request, in a thread."""
        # Here, because what follows waits for the client, and that is its own doing.
        self._serving.waited = time.monotonic() - conn.queued_at
        try:
            return super().handle(conn)
        finally:
            with self._counting:
                self._in_flight -= 1

    def run(self) -> None:
        """Serve until told to stop, or until the main loop fails."""
        self.tpool.start()
        self.poller.register(self._idle.fileno(), selectors.EVENT_READ, self._dispatch)
        try:
            super().run()
        except Exception:
            # The master has another worker started once this one is gone. A client whose request
            # is being handled has nothing to do with what failed here.
            self.alive = False
            self.tpool.shutdown()
            self.tpool.join(FAILED_DRAIN_SECONDS)
            raise
        finally:
            self._end()

    def _end(self) -> None:
        # Threads may still serve: from here on they close their connections themselves.
        self.method_queue.close()
        self.tpool.shutdown()
        self._closing.shutdown(wait=False, cancel_futures=True)
        self.murder_keepalived(force=True)
        self._idle.close()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Serve for a moment.

        After each return gunicorn sees to its parent, its heartbeat and the connections that are
        idle for too long; under load that is a system call or two for every request.
        """
        began = time.monotonic()
        ends = min(began + LOOK_AROUND_SECONDS, self._stops_at)
        if began < self._accept_again:
            timeout = min(timeout, ACCEPT_PAUSE_SECONDS)
        super().wait_for_and_dispatch_events(max(min(timeout, self._stops_at - began), 0.0))
        if self.alive and time.monotonic() >= self._stops_at:
            super().handle_exit(signal.SIGTERM, None)
        while self.alive and self.nr_conns < self.worker_connections:
            left = ends - time.monotonic()
            if left <= 0:
                return
            super().wait_for_and_dispatch_events(left)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close the connections that have been idle for too long, or all."""
        for conn in self._idle.take_all() if force else self._idle.take_late():
            self._forget()
            conn.close()

    def _cap_keepalive(self, deadline: float) -> None:
        # Counted anew for each that will be kept, as gunicorn does it elsewhere.
        del deadline
        self._idle.cap(STOP_KEEPALIVE_LINGER)

    def _dispatch(self, _idle: int) -> None:
        for conn in self._idle.take_ready():
            # gunicorn would look for itself whether a new connection has anything to say.
            conn.data_ready = True
            self._put(conn)

    def _put(self, conn: Any) -> None:
        with self._counting:
            is_full = self._in_flight >= self._max_in_flight
            if not is_full:
                self._in_flight += 1
        if is_full:
            self._refuse(conn)
        else:
            self.tpool.put(conn)

    def _refuse(self, conn: Any) -> None:
        get_logger(__name__).info("request_refused", status=503, reason="overload")
        self.app.refused("overload")
        if self.cfg.is_ssl and not conn.initialized:
            # Before the handshake nobody would understand it, and the main loop cannot wait for
            # one.
            self._close(conn, self._say_overloaded)
        else:
            self._say_overloaded(conn)
            self._close(conn)

    def _say_overloaded(self, conn: Any) -> None:
        with suppress(OSError):
            if self.cfg.is_ssl:
                conn.init()
            util.write_nonblock(conn.sock, self._overloaded)

    def _serve(self, conn: Any) -> None:
        """Serve one request, then wait for the connection's next one, or close it; in a thread."""
        is_kept = False
        try:
            is_kept = self.handle(conn) and self._keep(conn)
        finally:
            if not is_kept:
                self._close(conn)

    def _keep(self, conn: Any) -> bool:
        pending = getattr(conn.sock, "pending", None)
        if conn.parser.unreader.buf.getvalue() or (pending is not None and pending()):
            # The next request has been read already, so the kernel has nothing to tell of it.
            self._put(conn)
            return True
        try:
            self._idle.add(conn, self._keepalive_seconds)
        except (OSError, ValueError):
            return False
        return True

    def _close(self, conn: Any, first: Callable[[Any], None] = lambda _: None) -> None:
        def close() -> None:
            first(conn)
            conn.close(graceful=True)

        # In threads of their own: it lingers for seconds on a client that does not close its side.
        try:
            closing = self._closing.submit(close)
        except RuntimeError:
            # The worker has ended and so have those threads, or there can be none.
            conn.close()
            self.method_queue.defer(self._forget)
        else:
            closing.add_done_callback(lambda closing: self._closed(conn, closing))

    def _closed(self, conn: Any, closing: Future[None]) -> None:
        if closing.cancelled():
            conn.close()
        self.method_queue.defer(self._forget)

    def _forget(self) -> None:
        self.nr_conns -= 1

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or end to accept; for good when the worker stops."""
        if self.alive:
            if not enabled or time.monotonic() >= self._accept_again:
                super().set_accept_enabled(enabled)
            return
        self._begin_stop()
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
        if self.app.max_in_flight is not None:
            self._max_in_flight = self.app.max_in_flight
            answer = self.raw_answer(503, "Too many requests at the same time.")
            self._overloaded = answer.text()
        self.wsgi = ClosesWhatIsUnread(self.wsgi, self._serving)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Have one request answered."""
        self._serving.request, self._serving.connection = req, conn
        if time.monotonic() >= conn.ends_at:
            req.force_close()
        own = conn.sock
        conn.sock = sending = HeadWithBody(own)
        try:
            keeps: bool = super().handle_request(req, conn)
            sending.flush()
        finally:
            conn.sock = own
        return keeps

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that could not be read, or that failed outside of the application."""
        del req, addr
        if isinstance(exc, ssl.SSLError):
            # There is nobody to answer, and a handshake that failed has been told.
            return
        log = get_logger(__name__)
        ours = isinstance(exc, (InvalidResponseHeader, InvalidResponseHeaderName))
        if isinstance(exc, ParseException) and not ours:
            # Not the error's text: it quotes what the client sent.
            log.warning("malformed_request", error=type(exc).__name__)
            self.app.refused("malformed")
            answer = self.raw_answer(*unreadable(exc))
        else:
            log.error("unexpected_error", exc_info=exc)
            answer = self.raw_answer(500, "Internal error.")
        try:
            util.write_nonblock(client, answer.text())
        except OSError:
            log.debug("error_not_sent")
