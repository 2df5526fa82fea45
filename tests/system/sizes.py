"""How much a stress test does: little in every run, all that was promised in `make stress`."""

from __future__ import annotations

import os

VARIABLE = "ARCANA_STRESS"


def sized(usual: int, full: int) -> int:
    """Give the number of this run."""
    return full if os.environ.get(VARIABLE) == "full" else usual
