"""One loader at a time for each key."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Generic, TypeVar

from tier_runtime.deadline import Deadline, deadline_exceeded

T = TypeVar("T")


class Flights(Generic[T]):
    """Lets calls that want the same thing at the same time share one loading of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, Future[T]] = {}

    def load(
        self,
        keys: Collection[str],
        load: Callable[[Sequence[str]], Mapping[str, T]],
        deadline: Deadline,
    ) -> dict[str, T]:
        """Return for each key what `load`, or another thread's `load` of this key, returns.

        `load` gets the keys that nobody else is loading, and returns a value for each of them.
        For the others this waits until its own deadline. Success only is shared: why another one
        failed may be its own affair, such as a shorter deadline, so those keys are then loaded
        here. Keys differ from each other.

        Raises:
            AppError: DEADLINE/DEADLINE_EXCEEDED; what `load` raises comes through.
        """
        led: dict[str, Future[T]] = {}
        joined: dict[str, Future[T]] = {}
        with self._lock:
            for key in keys:
                flight = self._flights.get(key)
                if flight is None:
                    led[key] = self._flights[key] = Future()
                else:
                    joined[key] = flight
        # Before this waits for anybody: two that waited for each other would wait for ever.
        found = self._lead(led, load) if led else {}
        failed = [key for key, flight in joined.items() if not _succeeds(flight, deadline)]
        for key in joined.keys() - failed:
            found[key] = joined[key].result()
        if failed:
            found.update(load(failed))
        return found

    def forget(self, key: str) -> None:
        """Let nobody join the loading that is under way: what it finds is out of date."""
        with self._lock:
            self._flights.pop(key, None)

    def _lead(
        self, flights: Mapping[str, Future[T]], load: Callable[[Sequence[str]], Mapping[str, T]]
    ) -> dict[str, T]:
        try:
            found = dict(load(list(flights)))
        except BaseException as error:
            self._land(flights)
            for flight in flights.values():
                flight.set_exception(error)
            raise
        self._land(flights)
        for key, flight in flights.items():
            flight.set_result(found[key])
        return found

    def _land(self, flights: Mapping[str, Future[T]]) -> None:
        with self._lock:
            for key, flight in flights.items():
                if self._flights.get(key) is flight:
                    del self._flights[key]


def _succeeds(flight: Future[T], deadline: Deadline) -> bool:
    try:
        return flight.exception(deadline.remaining()) is None
    except FutureTimeoutError:
        raise deadline_exceeded() from None
