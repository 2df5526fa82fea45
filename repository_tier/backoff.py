"""How long what failed rests before it is tried again."""

from __future__ import annotations

# Two to this power is longer than any pause, and a larger one would overflow.
_MOST_DOUBLINGS = 32


def pause_seconds(attempt: int, first: float, longest: float, chance: float) -> float:
    """Return the pause after a failed attempt, the first of which is 1; all times in seconds.

    It doubles with each, up to the longest, and chance (0..1) halves it at most: what failed
    together would come back together otherwise.
    """
    doubled = first * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS)
    return min(doubled, longest) * (0.5 + chance / 2)
