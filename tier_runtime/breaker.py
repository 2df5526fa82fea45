"""Leaves a neighbour alone that does not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tier_runtime.clock import Clock


class BreakerOpenError(Exception):
    """The neighbour is being left alone, for `seconds` more."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Breaker:
    """Counts failures in a row; after `failures` of them it is open for `seconds`.

    After that time one call is let through: when it succeeds the breaker closes, when it fails
    the time begins anew. Calls run side by side; the lock is held only to count. (PyBreaker holds
    its lock while the call runs, so a cache behind it would be asked by one thread at a time.)
    """

    def __init__(
        self,
        clock: Clock,
        failures: int,
        seconds: float,
        on_change: Callable[[bool], None] = lambda _is_open: None,
    ) -> None:
        self._clock = clock
        self._failures = failures
        self._seconds = seconds
        self._on_change = on_change
        self._lock = threading.Lock()
        self._failed = 0
        self._closed_again_at = 0.0
        self._is_open = False

    @property
    def is_open(self) -> bool:
        """True from too many failures until a call succeeds."""
        return self._is_open

    @contextmanager
    def guard(self, *errors: type[Exception]) -> Iterator[None]:
        """Run the block if the neighbour may be asked; these errors of it are failures.

        Raises:
            BreakerOpenError: it may not.
        """
        self.enter()
        try:
            yield
        except errors:
            self.note(succeeded=False)
            raise
        self.note(succeeded=True)

    def enter(self) -> None:
        """Begin a call, for callers that learn later than in one block how it ended.

        Who enters says by `note` how the call ended, unless that says nothing about the
        neighbour, as when the caller itself gave up.

        Raises:
            BreakerOpenError: the neighbour may not be asked now.
        """
        # Nearly always closed, and then nothing is changed here: no lock on that path.
        if not self.is_open:
            return
        with self._lock:
            if not self._is_open:
                return
            left = self._closed_again_at - self._clock.monotonic()
            if left > 0:
                raise BreakerOpenError(left)
            # This call is the trial; until it is decided others stay out.
            self._closed_again_at = self._clock.monotonic() + self._seconds

    def note(self, *, succeeded: bool) -> None:
        """Count how a call ended that had entered."""
        if succeeded and not self._failed and not self._is_open:
            return
        with self._lock:
            was_open = self._is_open
            self._failed = 0 if succeeded else self._failed + 1
            if succeeded:
                self._is_open = False
            elif self._failed >= self._failures:
                self._is_open = True
                self._closed_again_at = self._clock.monotonic() + self._seconds
            changed = was_open is not self._is_open
        if changed:
            self._on_change(not was_open)
