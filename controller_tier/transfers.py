"""Requests that take as long as their bytes do: they have a time of their own, and a bound."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from controller_tier.request_scope import call_of_request
from tier_runtime.call import Call, call_scope
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

RETRY_AFTER_SECONDS = 1.0


class Transfers:
    """The uploads and downloads of one worker.

    Each holds a thread for as long as its client takes, within `seconds`. Without a bound as many
    of them as there are threads would leave none for anybody else.
    """

    def __init__(self, clock: Clock, *, seconds: float, most: int) -> None:
        self._clock = clock
        self._seconds = seconds
        self._slots = threading.BoundedSemaphore(most)

    def begin(self) -> Transfer:
        """Begin a transfer, which holds a place until it is ended.

        Raises:
            AppError: UNAVAILABLE/SERVICE_UNAVAILABLE, when there are as many as there may be.
        """
        if not self._slots.acquire(blocking=False):
            raise AppError(
                Kind.UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "Too many files are on their way.",
                retry_after=RETRY_AFTER_SECONDS,
            )
        return Transfer(self._slots, Deadline.after(self._seconds, self._clock.monotonic))


class Transfer:
    """One upload or download. It has all of its time from when it begins."""

    def __init__(self, slots: threading.BoundedSemaphore, deadline: Deadline) -> None:
        self._slots = slots
        self._deadline = deadline
        self._has_ended = False

    @contextmanager
    def scope(self) -> Iterator[Call]:
        """Make the outgoing RPCs of the block belong to the current call, with this time."""
        with call_scope(replace(call_of_request(), deadline=self._deadline)) as longer:
            yield longer

    def end(self) -> None:
        """Give the place back; once is enough."""
        if not self._has_ended:
            self._has_ended = True
            self._slots.release()
