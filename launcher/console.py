"""What the operator sees: the launcher's own lines, and the tiers' lines after their names."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TextIO

_COLOURS = {
    "controller": "36",
    "monolith": "36",
    "service": "33",
    "auth": "33",
    "users": "32",
    "rate_limits": "34",
    "products": "94",
    "orders": "95",
    "jobs": "92",
    "events": "96",
    "files": "93",
    "worker": "91",
    "repository": "35",
    "arcana": "1",
}
_WIDTH = max(map(len, _COLOURS))


class Console:
    """Writes whole lines, from any thread; in colour when the stream is a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()
        self.is_terminal = self._stream.isatty()

    def line(self, name: str, text: str) -> None:
        """Write one line of a tier, or of `arcana` itself."""
        prefix = f"{name:<{_WIDTH}} | "
        if self.is_terminal:
            prefix = f"\033[{_COLOURS.get(name, '0')}m{prefix}\033[0m"
        # Nobody may be reading any more, a pipe (EPIPE) or a closed terminal (EIO); the tiers still
        # have to be stopped in order.
        with self._lock, contextlib.suppress(OSError):
            self._stream.write(f"{prefix}{text}\n")
            self._stream.flush()

    def say(self, text: str) -> None:
        """Write one line of the launcher's own."""
        self.line("arcana", text)

    def plain(self, text: str) -> None:
        """Write one line as it is."""
        with self._lock:
            self._stream.write(f"{text}\n")
            self._stream.flush()
