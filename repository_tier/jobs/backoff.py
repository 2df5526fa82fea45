"""How long a job waits after an attempt that failed."""

from __future__ import annotations

from datetime import timedelta
from random import Random

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 600.0


def pause_after(attempts: int, random: Random) -> timedelta:
    """Return the pause after so many attempts, 1 or more.

    It doubles with each, up to ten minutes, and is shortened by up to half by chance: many that
    failed by one cause do not come again at one moment.
    """
    longest = min(FIRST_PAUSE_SECONDS * 2.0 ** (attempts - 1), LONGEST_PAUSE_SECONDS)
    return timedelta(seconds=random.uniform(longest / 2, longest))
