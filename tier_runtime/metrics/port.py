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
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from tier_runtime.addresses import Address
from tier_runtime.logs import get_logger
from tier_runtime.metrics import series
from tier_runtime.startup import StartupError

if TYPE_CHECKING:
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

    def meters(self) -> Meters | None:
        """Return this process's series, and begin to answer; None where metrics are off.

        Call it in each process that counts, after the fork.
        """
        if self._listener is not None and self._meters is None:
            self._meters = _started(self._tier, self._listener, self._folder)
        return self._meters


@contextmanager
def metrics_port(bind: str, tier: str, *, forks: bool) -> Iterator[MetricsPort]:
    """Open the port of a program; an empty address opens none.

    Args:
        bind: host:port, where port 0 takes a free one.
        tier: what the program is called.
        forks: whether those who count are forks of this process.

    Raises:
        StartupError: the address cannot be listened on.
    """
    if not bind:
        yield MetricsPort(tier, None, None)
        return
    owner = os.getpid()
    with _listening(bind) as listener:
        host, port = listener.getsockname()[:2]
        get_logger(__name__).info("serving_metrics", address=str(Address(host, port)))
        folder = Path(tempfile.mkdtemp(prefix="arcana-metrics-")) if forks else None
        try:
            yield MetricsPort(tier, listener, folder)
        finally:
            # Forks pass here too, while others still count.
            if folder is not None and os.getpid() == owner:
                shutil.rmtree(folder, ignore_errors=True)


def arcana_version() -> str:
    """Return the version that is installed; "0" for a checkout that was not."""
    try:
        return version("arcana")
    except PackageNotFoundError:
        return "0"


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


def _started(tier: str, listener: socket.socket, folder: Path | None) -> Meters:
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
    meters.gauge(series.BUILD).of(tier, arcana_version()).set(1)
    serve(listener, rendering(meters, registry, folder))
    return meters
