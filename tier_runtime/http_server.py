"""gunicorn as our tiers run it: threads in a few processes, and nothing shared across the fork."""

from __future__ import annotations

import errno
import math
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random, SystemRandom
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # ships no types
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from tier_runtime.addresses import Address
from tier_runtime.http_worker import HttpWorker
from tier_runtime.logs import get_logger
from tier_runtime.metrics.parts import no_meter
from tier_runtime.startup import EXIT_NOT_STARTED, StartupError
from tier_runtime.tls.admission import ServerTls
from tier_runtime.tls.http_sockets import context_source

BACKLOG = 2048
# A worker whose main loop has not turned for so long is killed. No request takes part in that
# loop, so a slow one cannot cause it.
HEARTBEAT_SECONDS = 30
# Open connections of a worker at a time: gunicorn's own default.
MAX_CONNECTIONS = 1000

# A WSGI application (PEP 3333): environment and start_response in, the parts of the body out.
WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class WebServerSettings:
    """How the HTTP server runs. Times are in seconds."""

    address: Address
    workers: int
    threads: int
    keepalive_seconds: int
    client_timeout_seconds: int
    drain_seconds: int
    # The answer to the first request of a connection that is older says that it ends. Infinite for
    # none, as where clients are not ours and may take their time.
    max_connection_age_seconds: float = math.inf
    # What ages differ by. The system's, since the workers are forks of one process: copies of
    # another source would all draw the same.
    random: Random = field(default_factory=SystemRandom)
    # Its `raw_answer` decides about answers to what never reaches the application.
    worker_class: type[HttpWorker] = HttpWorker
    # Connections are mutual TLS then.
    tls: ServerTls | None = None
    # As process lists show it.
    process_name: str = "arcana"


@dataclass(frozen=True, slots=True)
class WorkerApp:
    """What one worker process serves, and what is to be called when it ends.

    `begin_stop` is called in the worker's main thread as soon as it is told to stop, while
    requests in flight go on, and must not wait; `close` when they have ended. Where
    `max_in_flight` is given, a request is refused as it comes while so many are being handled or
    wait for a thread. After `begin_stop` everything is served as before for `stop_pause_seconds`.
    `refused` is told why a request never reached the application, in one of few words.
    """

    app: WsgiApp
    close: Callable[[], None]
    begin_stop: Callable[[], None] = lambda: None
    max_in_flight: int | None = None
    stop_pause_seconds: float = 0.0
    refused: Callable[[str], None] = no_meter


def serve_http(settings: WebServerSettings, make: Callable[[], WorkerApp]) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code.

    `make` runs in each worker, after the fork. Both signals let requests in flight end; a SIGINT
    while they do ends the process at once.

    Raises:
        StartupError: the address cannot be listened on.
    """
    if settings.tls is not None:
        # Said here, it is one line: gunicorn would show where in the code.
        settings.tls.files.require_usable()
    listener = listen(settings.address, settings.client_timeout_seconds)
    host, port = listener.getsockname()[:2]
    get_logger(__name__).info("serving", address=str(Address(host, port)))
    master = os.getpid()
    try:
        _Gunicorn(settings, listener.detach(), make).run()
    except SystemExit as end:
        # A worker passes here too, and its master knows the reason by gunicorn's own number.
        if end.code == Arbiter.APP_LOAD_ERROR and os.getpid() == master:
            return EXIT_NOT_STARTED
        return end.code if isinstance(end.code, int) else 1
    return 0


def listen(address: Address, client_timeout_seconds: int) -> socket.socket:
    """Return a listening socket. gunicorn would try a taken port five times, a second each.

    Accepted connections inherit the timeout (socket(7)): a client that stops in the middle of a
    request would hold a thread for ever otherwise.

    Raises:
        StartupError: the address is taken, or none of this machine's.
    """
    listener = None
    try:
        listener = address.listener()
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        silence = struct.pack("ll", client_timeout_seconds, 0)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, silence)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, silence)
        listener.listen(BACKLOG)
    except OSError as error:
        if listener is not None:
            listener.close()
        reason = "the port is taken" if error.errno == errno.EADDRINUSE else error.strerror
        raise StartupError(f"Cannot listen on {address}: {reason}.") from error
    return listener


def most_connections(files: int) -> int:
    """Return how many connections a worker may hold that may have so many files open.

    A quarter of them is left to the application: its channels, pools and logs.
    """
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(min(MAX_CONNECTIONS, files * 3 // 4), 1)


class StructuredLogger(Logger):  # type: ignore[misc]  # its base has no types
    """gunicorn's logger without handlers of its own: its lines go where all others go."""

    def setup(self, cfg: Any) -> None:
        """Hand everything on to the root logger; the access log is the application's."""
        self.cfg = cfg
        self._access_log_enabled = False
        for log in (self.error_log, self.access_log):
            log.propagate = True
            log.handlers = []

    def exception(self, msg: str, *args: Any, **options: Any) -> None:
        """Log an error with its traceback; that a client fell silent is none."""
        # The second is what Python makes of it under TLS.
        if isinstance(sys.exc_info()[1], (BlockingIOError, TimeoutError)):
            get_logger(__name__).info("client_fell_silent")
        else:
            super().exception(msg, *args, **options)


class _Arbiter(Arbiter):  # type: ignore[misc]  # its base has no types
    """gunicorn's master, to which SIGINT is no reason to drop requests."""

    def spawn_worker(self) -> int:
        """Fork a worker that misses no SIGTERM.

        Between the fork and the worker's own handlers a signal would end in a copy of the
        master's queue, and the stop would wait for that worker until its time-out. So it stays
        pending until the worker takes it; see HttpWorker.init_signals.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            pid: int = super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        return pid

    def handle_int(self) -> None:
        """End as on SIGTERM."""
        self.handle_term()


def _tls_settings(settings: WebServerSettings) -> dict[str, Any]:
    if settings.tls is None:
        return {}
    current = context_source(settings.tls, settings.client_timeout_seconds)
    return {
        # That there is one tells gunicorn that there is TLS; it asks for a context for each
        # connection.
        "certfile": str(settings.tls.files.certificate),
        "keyfile": str(settings.tls.files.key),
        "ssl_context": lambda _config, _default: current(),
    }


class _Gunicorn(BaseApplication):  # type: ignore[misc]  # its base has no types
    """Configures gunicorn from our settings only: no command line, no file, no environment."""

    def __init__(
        self, settings: WebServerSettings, listener: int, make: Callable[[], WorkerApp]
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._make = make
        self._worker_app: WorkerApp | None = None
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults."""
        settings = self._settings
        for name, value in {
            "bind": f"fd://{self._listener}",
            "backlog": BACKLOG,
            "worker_class": settings.worker_class,
            "logger_class": StructuredLogger,
            "workers": settings.workers,
            "threads": settings.threads,
            "worker_connections": most_connections(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
            "keepalive": settings.keepalive_seconds,
            "timeout": HEARTBEAT_SECONDS,
            "graceful_timeout": settings.drain_seconds,
            "proc_name": settings.process_name,
            # A channel must not cross a fork, so nothing is loaded before it.
            "preload_app": False,
            "worker_exit": self._close,
            "control_socket_disable": True,
            # X-Forwarded-* is the application's business, by TRUSTED_PROXIES.
            "forwarded_allow_ips": "",
            "secure_scheme_headers": {},
            **_tls_settings(settings),
        }.items():
            self.cfg.set(name, value)

    def run(self) -> None:
        """Serve; ends by SystemExit."""
        _Arbiter(self).run()

    def load(self) -> WsgiApp:
        """Make the application; gunicorn calls it in the worker."""
        try:
            self._worker_app = self._make()
        except StartupError as error:
            # One line in place of gunicorn's traceback, and the code at which it gives up.
            sys.stderr.write(f"{error}\n")
            sys.exit(Arbiter.APP_LOAD_ERROR)
        return self._worker_app.app

    @property
    def max_in_flight(self) -> int | None:
        """How many requests what is served wants at a time; the worker asks for it."""
        return None if self._worker_app is None else self._worker_app.max_in_flight

    @property
    def stop_pause_seconds(self) -> float:
        """How long the worker serves on after it was told to stop."""
        return 0.0 if self._worker_app is None else self._worker_app.stop_pause_seconds

    def connection_age_seconds(self) -> float:
        """Return how old a new connection may become; the worker asks for each.

        A tenth more or less, as gRPC does it, so that not all of them end at the same time.
        """
        settings = self._settings
        return settings.max_connection_age_seconds * settings.random.uniform(0.9, 1.1)

    def refused(self, reason: str) -> None:
        """Tell what is served that a request never reached it; the worker calls it."""
        if self._worker_app is not None:
            self._worker_app.refused(reason)

    def begin_stop(self) -> None:
        """Tell what is served that it is to end; the worker calls it."""
        if self._worker_app is not None:
            self._worker_app.begin_stop()

    def _close(self, _arbiter: Any, _worker: Any) -> None:
        if self._worker_app is not None:
            self._worker_app.close()
