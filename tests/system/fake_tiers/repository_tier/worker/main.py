from __future__ import annotations

import signal
import threading

from tests.system.fake_tiers.behaviour import behave


def main() -> int:
    """Do nothing until SIGTERM, and say nothing: it may come before there is a handler."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    behave("worker")
    ended.wait()
    return 0
