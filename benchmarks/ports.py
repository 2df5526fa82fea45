"""Ports for tiers that are told their addresses before they listen."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

from benchmarks.worker import BenchmarkError

# Below what Linux gives to outgoing connections (ip_local_port_range). Naive REST makes thousands
# of these in a run, and one of them would take a port between its choice here and a tier's start.
LOWEST, HIGHEST = 15_000, 32_000
ATTEMPTS = 200


def free_ports(count: int) -> list[int]:
    """Return so many different ports that nobody listens on.

    Raises:
        BenchmarkError: hardly any is free.
    """
    # Its own source of numbers: two runs at the same time must not try the same.
    numbers = random.SystemRandom()
    found: list[int] = []
    with ExitStack() as held:
        for port in numbers.sample(range(LOWEST, HIGHEST), ATTEMPTS):
            if len(found) == count:
                return found
            # Kept open until all are found.
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
    raise BenchmarkError(f"of {ATTEMPTS} ports from {LOWEST} to {HIGHEST} hardly any is free")
