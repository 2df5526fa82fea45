"""Counts whom TLS and the lists of callers turn away."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Literal

# `peer`: a good certificate whose names are on no list. `write`: a reader's that called what
# writes. `handshake`: no certificate, one of another authority, or no TLS at all.
Reason = Literal["peer", "write", "handshake"]

# Told of each refusal: why, and the method as "/package.Service/Method", empty where it never came
# to one.
Told = Callable[[Reason, str], None]


class Refusals:
    """What one server has refused since its start. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[Reason, str]] = Counter()
        self._told: list[Told] = []

    def tell(self, told: Told) -> None:
        """Have `told` called with each further refusal, in the thread that refuses."""
        self._told.append(told)

    def add(self, reason: Reason, method: str = "") -> None:
        """Count one."""
        with self._lock:
            self._counts[reason, method] += 1
        for told in self._told:
            told(reason, method)

    def counts(self) -> dict[tuple[Reason, str], int]:
        """Return how many there were by reason and method."""
        with self._lock:
            return dict(self._counts)
