"""What the tiers' own logs tell of calls: how many there were, and how long each took."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.worker import BenchmarkError

RUN_JOB = "/arcana.service.v1.JobService/RunJob"
# Longer than the pauses of whatever looks for work: the relay, the publisher, the broker.
SILENT_SECONDS = 1.5
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls that were served: how many, and their time in all, in milliseconds."""

    count: int
    took_ms: float


class Journal:
    """Follows the logs of some programs."""

    def __init__(
        self, folder: Path, programs: Sequence[str], silent_seconds: float = SILENT_SECONDS
    ) -> None:
        self._silent_seconds = silent_seconds
        self._logs = {name: folder / f"{name}.log" for name in programs}
        self._read: dict[str, int] = dict.fromkeys(programs, 0)

    def skip(self) -> None:
        """Forget what was written until now."""
        self._read = {name: _size(log) for name, log in self._logs.items()}

    def wait_for_silence(self, limit_seconds: float) -> None:
        """Wait until nobody has written anything for a while: what was set off is done.

        Raises:
            BenchmarkError: they do not stop.
        """
        ends = time.monotonic() + limit_seconds
        sizes, silent_since = self._sizes(), time.monotonic()
        while time.monotonic() - silent_since < self._silent_seconds:
            if time.monotonic() > ends:
                raise BenchmarkError(f"what was asked for is not done after {limit_seconds:g} s")
            time.sleep(_POLL_SECONDS)
            now = self._sizes()
            if now != sizes:
                sizes, silent_since = now, time.monotonic()

    def calls(self, name: str, *, method: str = "") -> Calls:
        """Return the calls that a program has served since `skip`, of one method or of all."""
        took = [
            line["duration_ms"]
            for line in self._lines(name)
            if line.get("event") == "rpc" and method in ("", line["method"])
        ]
        return Calls(len(took), sum(took))

    def _lines(self, name: str) -> Iterable[dict[str, Any]]:
        with self._logs[name].open("rb") as log:
            log.seek(self._read[name])
            for line in log:
                if line.startswith(b"{"):
                    yield json.loads(line)

    def _sizes(self) -> list[int]:
        return [_size(log) for log in self._logs.values()]


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0
