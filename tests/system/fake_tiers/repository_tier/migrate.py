from __future__ import annotations

import threading

from tests.system.fake_tiers.behaviour import behave


def main() -> int:
    if behave("migration") == "slow":
        threading.Event().wait(60)
    return 0
