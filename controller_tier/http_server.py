"""gunicorn as the edge runs it: threads in a few processes, and nothing shared across the fork."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask
from gunicorn import util  # type: ignore[import-untyped]  # ships no types
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]
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
from controller_tier.request_scope import REQUEST_ID_HEADER
from tier_runtime.clock import SystemClock
from tier_runtime.ids import Uuid7Source
from tier_runtime.logs import get_logger
from tier_runtime.startup import StartupError

BACKLOG = 2048
# A worker whose main loop has not turned for so long is killed. No request takes part in that
# loop, so a slow one cannot cause it.
HEARTBEAT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class WebServerSettings:
    """How the HTTP server runs. Times are in seconds."""

    # Host and port; port 0 takes a free one.
    address: tuple[str, int]
    workers: int
    threads: int
    keepalive_seconds: int
    drain_seconds: int


@dataclass(frozen=True, slots=True)
class WorkerApp:
    """What one worker process serves, and what is to be called when it ends."""

    app: Flask
    close: Callable[[], None]


def serve_http(settings: WebServerSettings, make: Callable[[], WorkerApp]) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code.

    `make` runs in each worker, after the fork. SIGTERM lets requests in flight end.

    Raises:
        StartupError: the address cannot be listened on.
    """
    listener = listen(settings.address)
    host, port = listener.getsockname()[:2]
    get_logger(__name__).info(
        "serving", address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    )
    try:
        _Gunicorn(settings, listener.detach(), make).run()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def listen(address: tuple[str, int]) -> socket.socket:
    """Return a listening socket. gunicorn would try a taken port five times, a second each.

    Raises:
        StartupError: the address is taken, or none of this machine's.
    """
    host, port = address
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, resolved = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartupError(f"Cannot listen on {shown}: {error.strerror}.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(resolved)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = "the port is taken" if error.errno == errno.EADDRINUSE else error.strerror
        raise StartupError(f"Cannot listen on {shown}: {reason}.") from error
    return listener


class StructuredLogger(Logger):  # type: ignore[misc]  # its base has no types
    """gunicorn's logger without handlers of its own: its lines go where all others go."""

    def setup(self, cfg: Any) -> None:
        """Hand everything on to the root logger; the access log is the application's."""
        self.cfg = cfg
        self._access_log_enabled = False
        for log in (self.error_log, self.access_log):
            log.propagate = True
            log.handlers = []


class EdgeWorker(ThreadWorker):  # type: ignore[misc]  # its base has no types
    """gunicorn's threaded worker, with problem documents for what never reaches the application."""

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
            "worker_class": EdgeWorker,
            "logger_class": StructuredLogger,
            "workers": settings.workers,
            "threads": settings.threads,
            "keepalive": settings.keepalive_seconds,
            "timeout": HEARTBEAT_SECONDS,
            "graceful_timeout": settings.drain_seconds,
            "proc_name": "arcana-controller",
            # A channel must not cross a fork, so nothing is loaded before it.
            "preload_app": False,
            "worker_exit": self._close,
            "control_socket_disable": True,
            # X-Forwarded-* is the application's business, by TRUSTED_PROXIES.
            "forwarded_allow_ips": "",
            "secure_scheme_headers": {},
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the application; gunicorn calls it in the worker."""
        try:
            self._worker_app = self._make()
        except StartupError as error:
            # One line in place of gunicorn's traceback, and the code at which it gives up.
            sys.stderr.write(f"{error}\n")
            sys.exit(Arbiter.APP_LOAD_ERROR)
        return self._worker_app.app

    def _close(self, _arbiter: Any, _worker: Any) -> None:
        if self._worker_app is not None:
            self._worker_app.close()


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
