"""Ends what is still open when its time is over, for many at a time with one thread."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count


class Cutoff:
    """Calls `cut` at its time, unless it was lifted before."""

    __slots__ = ("_cut",)

    def __init__(self, cut: Callable[[], object]) -> None:
        self._cut: Callable[[], object] | None = cut

    @property
    def is_lifted(self) -> bool:
        """True once nothing will be cut any more."""
        return self._cut is None

    def lift(self) -> None:
        """Let it be; it may be too late for that."""
        # What would have been cut is let go of, long before its time comes.
        self._cut = None

    def fall(self) -> None:
        """Cut now."""
        cut, self._cut = self._cut, None
        if cut is not None:
            cut()


class Cutoffs:
    """The cutoffs of a server. Safe in several threads.

    Every RPC may have one, so it must cost less than a thread does. Those lifted stay in the queue
    until their time comes: the thread then passes over all of them at once, and wakes about as
    often as the usual time of an RPC passes, however many RPCs there are. It is a daemon, begins
    with the first cutoff and ends when there is none left.
    """

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, Cutoff]] = []
        # Tells apart those of the same time, since cutoffs have no order.
        self._numbers = count()
        self._changed = threading.Condition()
        self._is_running = False

    def add(self, seconds: float, cut: Callable[[], object]) -> Cutoff:
        """Return a cutoff that calls `cut`, in another thread, after so many seconds.

        `cut` must neither block nor fail.
        """
        cutoff = Cutoff(cut)
        entry = (time.monotonic() + seconds, next(self._numbers), cutoff)
        with self._changed:
            heapq.heappush(self._queue, entry)
            if not self._is_running:
                threading.Thread(target=self._run, name="cutoffs", daemon=True).start()
                self._is_running = True
            elif self._queue[0] is entry:
                self._changed.notify()
        return cutoff

    def _run(self) -> None:
        try:
            while (cutoff := self._next()) is not None:
                cutoff.fall()
        except BaseException:
            # The next cutoff begins anew; without this nothing would ever be cut again.
            with self._changed:
                self._is_running = False
            raise

    def _next(self) -> Cutoff | None:
        """Return a cutoff whose time has come; None when there is none left to wait for."""
        with self._changed:
            while self._queue:
                when, _, cutoff = self._queue[0]
                left = when - time.monotonic()
                if cutoff.is_lifted or left <= 0:
                    heapq.heappop(self._queue)
                    if not cutoff.is_lifted:
                        return cutoff
                    continue
                self._changed.wait(left)
            self._is_running = False
            return None


class Patience:
    """Calls `cut` when its user waits for longer than so many seconds at a stretch.

    However often that one waits, a single cutoff stands in the queue: where it falls during a
    later wait, another one is added for what is left.
    """

    def __init__(self, cutoffs: Cutoffs, seconds: float, cut: Callable[[], object]) -> None:
        self._cutoffs = cutoffs
        self._seconds = seconds
        self._cut = cut
        self._since: float | None = None
        self._has_ended = False
        self.is_lost = False
        self._cutoff = cutoffs.add(seconds, self._look)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time that the block takes as one wait."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None

    def end(self) -> None:
        """Let it be; it may be too late for that."""
        self._has_ended = True
        self._cutoff.lift()

    def _look(self) -> None:
        since, now = self._since, time.monotonic()
        if self._has_ended:
            return
        left = self._seconds if since is None else since + self._seconds - now
        if left > 0:
            self._cutoff = self._cutoffs.add(left, self._look)
        else:
            self.is_lost = True
            self._cut()
