"""Ports for servers that are told their addresses before they listen."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterable

# Below what Linux gives to outgoing connections (ip_local_port_range), which would otherwise take a
# port between the moment it is chosen here and the moment a tier listens on it.
LOWEST, HIGHEST = 15_000, 32_000
ATTEMPTS = 200
# Each worker has its own, for what is given in one cannot be known in the others.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_SHARE = (HIGHEST - LOWEST) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_FIRST = LOWEST + _WORKER * _SHARE
# Nobody listens yet where somebody has been told to, so a port is given once.
_given: set[int] = set()


def free_ports(offsets: Iterable[int] = (0,)) -> int:
    """Give a port that is free, and so are those which lie so far behind it; each is given once."""
    wanted = sorted(offsets)
    # Its own source of numbers: a seeded one would give the same ports to every test.
    numbers = random.SystemRandom()
    for _ in range(ATTEMPTS):
        port = numbers.randrange(_FIRST, _FIRST + _SHARE - wanted[-1])
        ports = {port + offset for offset in wanted}
        if ports.isdisjoint(_given) and all(map(_is_free, ports)):
            _given.update(ports)
            return port
    raise AssertionError(f"{ATTEMPTS} ports were tried, and none is free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
