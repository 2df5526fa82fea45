"""One loader at a time for each key."""

from __future__ import annotations

import threading
from collections.abc import Callable
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

    def load(self, key: str, load: Callable[[], T], deadline: Deadline) -> T:
        """Return what `load` returns, or what another thread's `load` of this key returns.

        A follower waits until its own deadline. It shares success only: why the leader failed
        may be the leader's own affair, such as a shorter deadline, so the follower then loads.
        """
        with self._lock:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if leads:
            return self._lead(key, flight, load)
        try:
            failed = flight.exception(deadline.remaining()) is not None
        except FutureTimeoutError:
            raise deadline_exceeded() from None
        return load() if failed else flight.result()

    def forget(self, key: str) -> None:
        """Let nobody join the loading that is under way: what it finds is out of date."""
        with self._lock:
            self._flights.pop(key, None)

    def _lead(self, key: str, flight: Future[T], load: Callable[[], T]) -> T:
        try:
            found = load()
        except BaseException as error:
            self._land(key, flight)
            flight.set_exception(error)
            raise
        self._land(key, flight)
        flight.set_result(found)
        return found

    def _land(self, key: str, flight: Future[T]) -> None:
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
