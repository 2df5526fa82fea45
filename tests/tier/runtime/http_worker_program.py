"""A server of one HTTP worker, for the tests of its life. Its log on stdout tells them all.

Every answer tells the worker's process. Paths: "wait" is answered when the worker stops; "exit"
ends as a program would; "break" makes the main loop fail, with "?end" after it has let the waiting
go on; "files" leaves the process so many file descriptors as the query says, and without one as
many as it had. Arguments: threads, requests at a time (0: any), and the seconds that a connection
may be idle and that it may be old; connections become as old as they may.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

from tier_runtime.addresses import Address
from tier_runtime.http_server import WebServerSettings, WorkerApp, serve_http
from tier_runtime.http_worker import HttpWorker
from tier_runtime.logs import configure_logging, get_logger
from tier_runtime.startup import run_main

GO_ON = threading.Event()
LIMITS = resource.getrlimit(resource.RLIMIT_NOFILE)


class KnownWorker(HttpWorker):
    """A worker that what it serves can ask for."""

    known: KnownWorker

    def load_wsgi(self) -> None:
        """Load the application, and be known to it."""
        super().load_wsgi()
        KnownWorker.known = self


class Latest(Random):
    """A source that always draws the most."""

    def uniform(self, _a: float, b: float) -> float:
        return b


def fail(how: str) -> None:
    if how == "end":
        GO_ON.set()
    raise RuntimeError("The main loop was asked to fail.")


def leave_files(count: int) -> None:
    used = {int(entry.name) for entry in Path("/proc/self/fd").iterdir()}
    limit = 0
    while count:
        count -= limit not in used
        limit += 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, LIMITS[1]))


def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    body = str(os.getpid()).encode()
    if path == "/wait":
        get_logger("program").info("entered")
        assert GO_ON.wait(60)
    elif path == "/exit":
        sys.exit(3)
    elif path == "/break":
        KnownWorker.known.method_queue.defer(fail, query)
    elif path == "/files" and query:
        leave_files(int(query))
    elif path == "/files":
        resource.setrlimit(resource.RLIMIT_NOFILE, LIMITS)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def main() -> int:
    configure_logging("test", "info")
    settings = WebServerSettings(
        address=Address("127.0.0.1", 0),
        workers=1,
        threads=int(sys.argv[1]),
        keepalive_seconds=int(sys.argv[3]),
        client_timeout_seconds=30,
        drain_seconds=20,
        max_connection_age_seconds=float(sys.argv[4]),
        random=Latest(),
        worker_class=KnownWorker,
    )
    bound = int(sys.argv[2]) or None
    app = WorkerApp(answer, lambda: None, begin_stop=GO_ON.set, max_in_flight=bound)
    return serve_http(settings, lambda: app)


if __name__ == "__main__":
    sys.exit(run_main(main))
