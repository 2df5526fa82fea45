"""The port where the metrics of a program are read, whatever number of processes it has.

The port is bound once, before any fork, and each process answers on it: whoever gets the question
speaks for all. What they count lies in files of a folder that they share, one for each process and
kind, which the library maps into memory; so nothing is lost when a process ends, and nothing is
asked of the others.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tier_runtime.addresses import Address
from tier_runtime.logs import get_logger
from tier_runtime.metrics import series
from tier_runtime.startup import StartupError
from tier_runtime.version import program_version

if TYPE_CHECKING:
    from tier_runtime.metrics.exposition import MetricsServer
    from tier_runtime.metrics.meters import Meters

# The library reads it when it is imported, and then whenever it makes a series.
_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_BACKLOG = 16


class MetricsPort:
    """Where the metrics of a program are read; without a listener nothing is counted."""

    def __init__(self, tier: str, listener: socket.socket | None, folder: Path | None) -> None:
        self._tier = tier
        self._listener = listener
        self._folder = folder
        self._meters: Meters | None = None
        self._server: MetricsServer | None = None

    def meters(self) -> Meters | None:
        """Return this process's series, and begin to answer; None where metrics are off.

        Call it in each process that counts, after the fork.
        """
        if self._listener is not None and self._meters is None:
            self._meters, self._server = _started(self._tier, self._listener, self._folder)
        return self._meters

    def stop(self) -> None:
        """Answer no more in this process. What is counted after that is told by others, if any."""
        if self._server is not None:
            self._server.shutdown()


@contextmanager
def metrics_port(bind: str, tier: str, *, forks: bool) -> Iterator[MetricsPort]:
    """Open the port of a program; an empty address opens none.

    Args:
        bind: host:port, where port 0 takes a free one.
        tier: what the program is called.
        forks: whether those who count are forks of this process.

    Raises:
        StartupError: the address cannot be listened on, or there is no folder to count in.
    """
    if not bind:
        yield MetricsPort(tier, None, None)
        return
    owner = os.getpid()
    with _listening(bind) as listener:
        host, port = listener.getsockname()[:2]
        get_logger(__name__).info("serving_metrics", address=str(Address(host, port)))
        folder = _made_folder() if forks else None
        port = MetricsPort(tier, listener, folder)
        try:
            yield port
        finally:
            # Before the listener is closed under it: a server that cannot accept asks without end.
            port.stop()
            # Forks pass here too, while others still count.
            if folder is not None and os.getpid() == owner:
                shutil.rmtree(folder, ignore_errors=True)


def _made_folder() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="arcana-metrics-"))
    except OSError as error:
        raise StartupError(
            "METRICS_BIND needs a folder for what several processes count, and none can be made: "
            f"{error.strerror}. Set TMPDIR to one that can be written to."
        ) from error


def _listening(bind: str) -> socket.socket:
    address = Address.parse(bind)
    listener = None
    try:
        listener = address.listener()
        listener.listen(_BACKLOG)
    except OSError as error:
        if listener is not None:
            listener.close()
        taken = error.errno == errno.EADDRINUSE
        reason = "the port is taken" if taken else error.strerror
        raise StartupError(
            f"Cannot listen on {address}, which METRICS_BIND names: {reason}."
        ) from error
    return listener


def _started(
    tier: str, listener: socket.socket, folder: Path | None
) -> tuple[Meters, MetricsServer]:
    # Whatever the environment says of it: nobody but us decides who counts where.
    os.environ.pop(_FOLDER_VARIABLE, None)
    if folder is not None:
        os.environ[_FOLDER_VARIABLE] = str(folder)
    # A process that counts nothing starts without the library.
    from prometheus_client import CollectorRegistry, values  # noqa: PLC0415 - see above.

    from tier_runtime.metrics.exposition import rendering, serve  # noqa: PLC0415 - see above.
    from tier_runtime.metrics.meters import Meters  # noqa: PLC0415 - see above.

    if values.ValueClass._multiprocess is not (folder is not None):  # noqa: SLF001 - no other sign
        raise RuntimeError("prometheus_client was imported before it was known who counts.")
    registry = CollectorRegistry()
    meters = Meters(registry)
    meters.gauge(series.BUILD).of(tier, program_version()).set(1)
    return meters, serve(listener, rendering(meters, registry, folder))
