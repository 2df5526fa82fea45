"""How long somebody still waits for the answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tier_runtime.errors import AppError, Kind


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock after which nobody waits any more."""

    at: float
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> Deadline:
        """Return the deadline that many seconds from now."""
        return cls(clock() + seconds, clock)

    def remaining(self) -> float:
        """Return the seconds left, 0.0 when it has passed."""
        return max(self.at - self.clock(), 0.0)

    def check(self) -> None:
        """Do nothing while there is time left. Call it between the steps of long work.

        Raises:
            AppError: DEADLINE/DEADLINE_EXCEEDED, when the deadline has passed.
        """
        if self.clock() >= self.at:
            raise deadline_exceeded()

    def shrunk(self, margin: float) -> Deadline:
        """Return a deadline `margin` seconds earlier, for the next hop."""
        return Deadline(self.at - margin, self.clock)


def deadline_exceeded() -> AppError:
    """Return the error that says the time is over."""
    return AppError(Kind.DEADLINE, "DEADLINE_EXCEEDED", "The request took too long.")
