"""Callers that go on calling the probe, and what became of their calls."""

from __future__ import annotations

import threading
from collections import Counter
from types import TracebackType
from typing import Self

from tests.tier.transports.asking import request
from tests.tier.transports.probe_contract import ProbeStub
from tier_runtime.errors import AppError

# The machine is shared with the tiers that are called.
PAUSE_SECONDS = 0.004
JOIN_SECONDS = 20.0


class Load:
    """Some callers on one stub, for as long as the block lasts."""

    def __init__(self, probe: ProbeStub, callers: int = 3, seconds: float = 10.0) -> None:
        self._probe = probe
        self._seconds = seconds
        self._lock = threading.Lock()
        self._answered: list[int] = []
        self.failures: list[AppError] = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(JOIN_SECONDS)

    def answers(self) -> int:
        """Return how many calls have been answered so far."""
        with self._lock:
            return len(self._answered)

    def processes(self, since: int = 0) -> Counter[int]:
        """Return how many answers each process has given since that many had come."""
        with self._lock:
            return Counter(self._answered[since:])

    def _call(self) -> None:
        while not self._stopped.wait(PAUSE_SECONDS):
            try:
                answer = self._probe.Plain(request({"text": "x"}), timeout=self._seconds)
            except AppError as error:
                self.failures.append(error)
            else:
                with self._lock:
                    self._answered.append(answer.process_id)
