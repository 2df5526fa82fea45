"""Sends the reads that callers of one process want at the same time as one.

The first caller leaves at once, in its own thread, so a lone caller pays two uncontended locks:
about 2 µs. Those who come while it is out gather. When its flight lands, it hands the leadership
to one of them, who takes all that have gathered, up to the bound. So a batch grows only as far as
callers had to wait anyway, and nobody ever waits for a batch to fill. With 16 to 64 callers it
costs 10 to 20 µs of processor time a call, most of it waking threads; each RPC that is saved
costs ten times that.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from tier_runtime.deadline import Deadline, deadline_exceeded
from tier_runtime.errors import AppError
from tier_runtime.status import internal_error

if TYPE_CHECKING:
    from tier_runtime.metrics.parts import ReadsMeter

KeyT = TypeVar("KeyT", bound=Hashable)
ResultT = TypeVar("ResultT")

# How long a flight is out before another one may leave beside it: one slow read must not hold up
# all others, and two at a time are still far from what a peer feels.
PATIENCE_SECONDS = 0.05
MAX_FLIGHTS = 2


class Wanted(Generic[KeyT]):
    """A key that a flight asks for, and the notes and the spans of all who wait for it."""

    __slots__ = ("key", "notes", "spans")

    def __init__(self, key: KeyT, note: str = "", span: str = "") -> None:
        self.key = key
        self.notes = [note] if note else []
        self.spans = [span] if span else []


class _Slot(Wanted[KeyT]):
    __slots__ = ("flight", "outcome", "waiters")

    def __init__(self, key: KeyT, note: str, span: str) -> None:
        super().__init__(key, note, span)
        self.waiters: list[_Waiter[KeyT]] = []
        # Set when it leaves; from then on nobody may join: what a flight reads may be older than
        # a write that a newcomer knows of.
        self.flight: _Flight[KeyT] | None = None
        self.outcome: object = None


class _Waiter(Generic[KeyT]):
    __slots__ = ("deadline", "leads", "slot", "wake")

    def __init__(self, slot: _Slot[KeyT], deadline: Deadline) -> None:
        self.slot = slot
        self.deadline = deadline
        # The flight that this one has to make.
        self.leads: _Flight[KeyT] | None = None
        # Held until there is an outcome or the leadership: a bare lock wakes in a third of what an
        # Event takes.
        self.wake = threading.Lock()
        self.wake.acquire()


class _Flight(Generic[KeyT]):
    __slots__ = ("deadline", "left_at", "slots")

    def __init__(self, slots: list[_Slot[KeyT]], deadline: Deadline, left_at: float) -> None:
        self.slots = slots
        self.deadline = deadline
        self.left_at = left_at


Fly = Callable[[Sequence[Wanted[KeyT]], Deadline], Sequence[ResultT | AppError]]


class Coalescer(Generic[KeyT, ResultT]):
    """Answers many callers by few flights. Safe to use from several threads.

    `fly` gets at most `max_batch` different keys, and the latest of their callers' deadlines. It
    returns one outcome for each, in order: a result, which callers of one key share, or an
    AppError, of which each gets its own. When it raises, each caller of that flight gets an
    AppError. It runs in the thread, and so in the call, of that caller who has the latest deadline:
    no thread is held beyond the deadline of whom it serves. With a `max_batch` of 1 every caller
    flies alone, all at the same time.
    """

    def __init__(
        self,
        fly: Fly[KeyT, ResultT],
        *,
        max_batch: int,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        meter: ReadsMeter | None = None,
    ) -> None:
        self._fly = fly
        self._max_batch = max_batch
        self._patience = patience_seconds
        self._clock = clock
        self._meter = meter
        self._lock = threading.Lock()
        self._flights: list[_Flight[KeyT]] = []
        # In the order in which they were first asked for. While nobody is out, nobody gathers.
        self._gathering: dict[KeyT, _Slot[KeyT]] = {}

    def ask(self, key: KeyT, deadline: Deadline, note: str = "", span: str = "") -> ResultT:
        """Return the result for a key. A note, such as the request's id, goes with the key.

        So does the span of the one who asks: the flight is made in the trace of whoever leads it.

        Raises:
            AppError: what `fly` has for this key or raised; DEADLINE/DEADLINE_EXCEEDED when there
                is no outcome in time. Whatever else `fly` raises, only who leads gets as it is.
        """
        if self._meter is not None:
            self._meter.asked()
        if self._max_batch == 1:
            return _given(self._outcomes([Wanted(key, note, span)], deadline)[0])
        with self._lock:
            alone = None if self._flights else self._leave([_Slot(key, note, span)], deadline)
        if alone is not None:
            return self._lead(alone, alone.slots[0])
        with self._lock:
            # Whoever was out may have landed just now: then this one leads at once.
            waiter, leader = self._join(key, deadline, note, span)
        if leader is not None:
            leader.wake.release()
        return self._wait(waiter)

    def _join(
        self, key: KeyT, deadline: Deadline, note: str, span: str
    ) -> tuple[_Waiter[KeyT], _Waiter[KeyT] | None]:
        slot = self._gathering.get(key)
        if slot is None:
            slot = self._gathering[key] = _Slot(key, note, span)
        else:
            # What is "" is none.
            slot.notes += filter(None, (note,))
            slot.spans += filter(None, (span,))
        waiter = _Waiter(slot, deadline)
        slot.waiters.append(waiter)
        return waiter, self._next_leader()

    def _leave(self, slots: list[_Slot[KeyT]], deadline: Deadline) -> _Flight[KeyT]:
        flight = _Flight(slots, deadline, self._clock())
        for slot in slots:
            slot.flight = flight
        self._flights.append(flight)
        return flight

    def _next_leader(self) -> _Waiter[KeyT] | None:
        """Let the next flight leave, if one may; whoever leads it must then be woken."""
        if not self._gathering or not self._may_leave():
            return None
        batch = list(islice(self._gathering.values(), self._max_batch))
        if len(batch) == len(self._gathering):
            self._gathering.clear()
        else:
            for slot in batch:
                del self._gathering[slot.key]
        leader = max(
            (waiter for slot in batch for waiter in slot.waiters),
            key=lambda waiter: waiter.deadline.at,
        )
        leader.leads = self._leave(batch, leader.deadline)
        return leader

    def _may_leave(self) -> bool:
        if not self._flights:
            return True
        longest = self._clock() - self._flights[0].left_at
        return len(self._flights) < MAX_FLIGHTS and longest >= self._patience

    def _lead(self, flight: _Flight[KeyT], own: _Slot[KeyT]) -> ResultT:
        try:
            outcomes = self._outcomes(flight.slots, flight.deadline)
        except BaseException as error:
            meaning = error if isinstance(error, AppError) else internal_error()
            self._land(flight, [meaning] * len(flight.slots))
            raise
        self._land(flight, outcomes)
        return _given(cast("ResultT | AppError", own.outcome))

    def _outcomes(
        self, wanted: Sequence[Wanted[KeyT]], deadline: Deadline
    ) -> Sequence[ResultT | AppError]:
        if self._meter is not None:
            self._meter.sent()
        outcomes = self._fly(wanted, deadline)
        if len(outcomes) != len(wanted):
            raise ValueError(f"{len(wanted)} keys were asked for, and {len(outcomes)} answered.")
        return outcomes

    def _land(self, flight: _Flight[KeyT], outcomes: Sequence[ResultT | AppError]) -> None:
        with self._lock:
            self._flights.remove(flight)
            leader = self._next_leader()
        # The next flight first: those of this one need nothing but the processor now.
        if leader is not None:
            leader.wake.release()
        for slot, outcome in zip(flight.slots, outcomes, strict=True):
            slot.outcome = outcome
            for waiter in slot.waiters:
                if waiter.leads is None:
                    waiter.wake.release()

    def _wait(self, waiter: _Waiter[KeyT]) -> ResultT:
        while not waiter.wake.acquire(timeout=self._seconds_to_wait(waiter)):
            self._look_around(waiter)
        if waiter.leads is not None:
            return self._lead(waiter.leads, waiter.slot)
        return _given(cast("ResultT | AppError", waiter.slot.outcome))

    def _seconds_to_wait(self, waiter: _Waiter[KeyT]) -> float:
        if waiter.leads is not None:
            # Whoever made it the leader is about to wake it: without end, in a lock's terms.
            return -1
        left = waiter.deadline.remaining()
        return left if waiter.slot.flight is not None else min(left, self._patience)

    def _look_around(self, waiter: _Waiter[KeyT]) -> None:
        """Give up when it is too late; else see whether another flight may leave meanwhile."""
        leader, slot = None, waiter.slot
        with self._lock:
            if waiter.leads is not None:
                return
            is_late = waiter.deadline.remaining() <= 0
            if slot.flight is None and is_late:
                slot.waiters.remove(waiter)
                if not slot.waiters:
                    del self._gathering[slot.key]
            elif slot.flight is None:
                leader = self._next_leader()
        if leader is not None:
            leader.wake.release()
        elif is_late:
            raise deadline_exceeded()


def _given(outcome: ResultT | AppError) -> ResultT:
    if isinstance(outcome, AppError):
        # Threads that raised one and the same object would write into each other's traceback.
        raise copy.copy(outcome)
    return outcome
