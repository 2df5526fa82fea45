"""Leaves a neighbour alone that does not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tier_runtime.clock import Clock


class BreakerOpenError(Exception):
    """The neighbour is being left alone."""


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

    @contextmanager
    def guard(self, *errors: type[Exception]) -> Iterator[None]:
        """Run the block if the neighbour may be asked; these errors of it are failures.

        Raises:
            BreakerOpenError: it may not.
        """
        self._enter()
        try:
            yield
        except errors:
            self._note(succeeded=False)
            raise
        self._note(succeeded=True)

    def _enter(self) -> None:
        with self._lock:
            if not self._is_open:
                return
            if self._clock.monotonic() < self._closed_again_at:
                raise BreakerOpenError
            # This call is the trial; until it is decided others stay out.
            self._closed_again_at = self._clock.monotonic() + self._seconds

    def _note(self, *, succeeded: bool) -> None:
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
