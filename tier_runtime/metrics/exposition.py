"""Metrics as Prometheus reads them: what a process, or several of one program, say over HTTP.

Only a process whose metrics are on imports this; see `port`.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from tier_runtime.logs import get_logger
from tier_runtime.metrics import series
from tier_runtime.metrics.families import Family
from tier_runtime.metrics.meters import Meters

PATH = "/metrics"
# A scraper that stops in the middle of its request.
SILENCE_SECONDS = 5
_POLL_SECONDS = 0.2

_PROCESS_SERIES = (
    *(series.PROCESS_CPU, series.PROCESS_MEMORY, series.PROCESS_FILES),
    *(series.PROCESS_MOST_FILES, series.PROCESS_START),
)

# Returns the type of the text and the text, by what an Accept header asks for.
Render = Callable[[str], tuple[str, bytes]]


def rendering(meters: Meters, counted: CollectorRegistry, folder: Path | None) -> Render:
    """Return what puts the metrics into words.

    With a folder they are those of all processes that count in it; else those of this one, in
    `counted`.
    """
    registry = CollectorRegistry()
    registry.register(_LookedUp(meters))
    registry.register(_Processes(folder))
    registry.register(counted if folder is None else _Together(folder))

    def render(accept: str) -> tuple[str, bytes]:
        encode, content_type = choose_encoder(accept)
        return content_type, encode(registry)

    return render


def serve(listener: socket.socket, render: Render) -> MetricsServer:
    """Answer on a listening socket, in a thread that ends with the process."""
    server = MetricsServer(listener, render)
    threading.Thread(
        target=server.serve_forever, args=(_POLL_SECONDS,), name="metrics", daemon=True
    ).start()
    return server


class MetricsServer(ThreadingHTTPServer):
    """Answers on a socket that several processes may share.

    `shutdown` ends it; the socket is its owner's to close, after that.
    """

    daemon_threads = True

    def __init__(self, listener: socket.socket, render: Render) -> None:
        host, port = listener.getsockname()[:2]
        super().__init__((host, port), _Handler, bind_and_activate=False)
        self.socket.close()
        # All of them are woken, and one gets the connection: the others must not wait for another.
        listener.setblocking(False)
        self.socket = listener
        self.render = render

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note what went wrong with one scrape."""
        del request, client_address
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            get_logger(__name__).error("metrics_failed", exc_info=error)


class _Handler(BaseHTTPRequestHandler):
    timeout: ClassVar[int] = SILENCE_SECONDS
    server: MetricsServer

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != PATH:
            self.send_error(404)
            return
        content_type, text = self.server.render(self.headers.get("Accept", ""))
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Write nothing: a scrape is no news."""

    def version_string(self) -> str:
        """Return what the Server header says."""
        return "arcana"


class _LookedUp(Collector):
    """What is looked up when somebody asks."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters

    def collect(self) -> Iterable[Metric]:
        found: dict[str, Metric] = {}
        for reading in self._meters.readings():
            family = reading.family
            metric = found.setdefault(family.name, _metric(family))
            metric.add_sample(
                family.name, dict(zip(family.labels, reading.labels, strict=True)), reading.value
            )
        return found.values()


class _Together(Collector):
    """What all processes have counted that share a folder; the dead ones too.

    What a process that ended had counted stays counted. What it had open is open no more.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: Any = MultiProcessCollector(None, str(folder))  # type: ignore[no-untyped-call]

    def collect(self) -> Iterable[Metric]:
        living = set(_living(self._folder))
        for pid in _counting(self._folder) - living:
            # Another scrape, here or in another process, may be doing the same.
            with suppress(FileNotFoundError):
                mark_process_dead(pid, str(self._folder))  # type: ignore[no-untyped-call]
        metrics: Iterable[Metric] = self._files.collect()
        return metrics


class _Processes(Collector):
    """What the operating system says about each process."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        pids = [os.getpid()] if self._folder is None else _living(self._folder)
        found = {family.name: _metric(family) for family in _PROCESS_SERIES}
        for pid in pids:
            for name, value in _told_of(pid):
                if name in found:
                    found[name].add_sample(name, {"pid": str(pid)}, value)
        return found.values()


def _told_of(pid: int) -> Iterator[tuple[str, float]]:
    for metric in ProcessCollector("arcana", lambda: pid, registry=None).collect():
        for sample in metric.samples:
            yield sample.name, sample.value


def _counting(folder: Path) -> set[int]:
    """Return the processes that have counted anything; each file is named after its process."""
    pids = (file.stem.rpartition("_")[2] for file in folder.glob("*.db"))
    return {int(pid) for pid in pids if pid.isdecimal()}


def _living(folder: Path) -> list[int]:
    return sorted(pid for pid in _counting(folder) if _is_alive(pid))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        # Those who count here run as one user: a number that is another's now was ours once.
        return False
    return True


def _metric(family: Family) -> Metric:
    return Metric(family.name.removesuffix("_total"), family.help, family.kind)
