"""Counters of what a repository tier asks of its database, shared with whoever measures it.

The tier's own process counts, where SQLAlchemy tells of statements, commits and connections taken
and given back; a file that both have mapped holds the numbers.
"""

from __future__ import annotations

import mmap
import struct
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

# How the threads of a tier's server are called.
RPC_THREADS = "rpc"
_FORMAT = struct.Struct("=4q")


class DatabaseUse(NamedTuple):
    """What was used from a tier's start to a moment, or between two moments.

    Attributes:
        held_ns: for how long calls had connections, all of them together, in nanoseconds. What
            runs besides calls, such as the relay, has one connection at a time and is left out.
    """

    statements: int
    transactions: int
    taken: int
    held_ns: int

    def since(self, before: DatabaseUse) -> DatabaseUse:
        """Return what was used between a moment before and this one."""
        return DatabaseUse(*(now - then for now, then in zip(self, before, strict=True)))

    def per_second(self, seconds: float) -> Sequence[float]:
        """Return each number by the second of a time."""
        return [each / seconds for each in self]


class DatabaseMeter:
    """Counts in this process, for all its engines. Safe in threads."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(bytes(_FORMAT.size))
        with file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), _FORMAT.size)
        self._lock = threading.Lock()
        self._use = [0, 0, 0, 0]

    def install(self) -> None:
        """Begin to count."""
        event.listen(Engine, "before_cursor_execute", self._statement)
        event.listen(Engine, "commit", self._commit)
        event.listen(Pool, "checkout", self._taken)
        event.listen(Pool, "checkin", self._given_back)

    def _statement(self, *_: Any) -> None:
        self._add(0, 1)

    def _commit(self, *_: Any) -> None:
        self._add(1, 1)

    def _taken(self, _connection: Any, entry: Any, _proxy: Any) -> None:
        if threading.current_thread().name.startswith(RPC_THREADS):
            entry.info["taken_at_ns"] = time.perf_counter_ns()
        self._add(2, 1)

    def _given_back(self, _connection: Any, entry: Any) -> None:
        taken_at = entry.info.pop("taken_at_ns", None)
        if taken_at is not None:
            self._add(3, time.perf_counter_ns() - taken_at)

    def _add(self, place: int, amount: int) -> None:
        with self._lock:
            self._use[place] += amount
            _FORMAT.pack_into(self._memory, 0, *self._use)


def read_meter(file: Path) -> DatabaseUse:
    """Return what has been counted so far. Read it while little happens: it is not locked."""
    return DatabaseUse(*_FORMAT.unpack(file.read_bytes()))
