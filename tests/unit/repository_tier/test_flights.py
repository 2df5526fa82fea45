from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from repository_tier.cache.flights import Flights
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError

WAIT_SECONDS = 5.0


class Loading:
    """A loading that stands still until it is let go."""

    def __init__(self, result: str | Exception) -> None:
        self._result = result
        self.begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.may_end.wait(WAIT_SECONDS)
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


Load = Callable[[Callable[[], str]], "Future[str]"]
Join = Callable[[Callable[[], str]], "Future[str]"]


@pytest.fixture
def flights() -> Flights[str]:
    return Flights()


@pytest.fixture
def load(flights: Flights[str]) -> Iterator[Load]:
    with ThreadPoolExecutor(8) as pool:
        yield lambda loader: pool.submit(flights.load, "key", loader, Deadline.after(WAIT_SECONDS))


@pytest.fixture
def join(flights: Flights[str]) -> Iterator[Join]:
    """Load as one who finds a loading under way, and return when it is waiting for that."""
    with ThreadPoolExecutor(8) as pool:

        def begin(loader: Callable[[], str]) -> Future[str]:
            joined = threading.Event()

            def clock() -> float:
                # Only those who wait for another one's loading ask how long they may.
                joined.set()
                return time.monotonic()

            deadline = Deadline(time.monotonic() + WAIT_SECONDS, clock)
            future = pool.submit(flights.load, "key", loader, deadline)
            assert joined.wait(WAIT_SECONDS)
            return future

        yield begin


def never() -> str:
    raise AssertionError("This loading must not run.")


def test_calls_at_the_same_time_share_one_loading(load: Load, join: Join) -> None:
    loading = Loading("found")
    first = load(loading)
    assert loading.begun.wait(WAIT_SECONDS)
    others = [join(never) for _ in range(3)]
    loading.may_end.set()
    assert [one.result(WAIT_SECONDS) for one in (first, *others)] == ["found"] * 4


def test_a_later_call_loads_for_itself(flights: Flights[str]) -> None:
    deadline = Deadline.after(WAIT_SECONDS)
    assert flights.load("key", lambda: "first", deadline) == "first"
    assert flights.load("key", lambda: "second", deadline) == "second"


def test_another_key_loads_for_itself(flights: Flights[str], load: Load) -> None:
    loading = Loading("found")
    first = load(loading)
    assert loading.begun.wait(WAIT_SECONDS)
    assert flights.load("other", lambda: "other", Deadline.after(WAIT_SECONDS)) == "other"
    loading.may_end.set()
    assert first.result(WAIT_SECONDS) == "found"


def test_whoever_comes_after_a_forgotten_loading_does_not_join_it(
    flights: Flights[str], load: Load, join: Join
) -> None:
    loading = Loading("old")
    first = load(loading)
    assert loading.begun.wait(WAIT_SECONDS)
    flights.forget("key")
    newer = Loading("new")
    second = load(newer)
    assert newer.begun.wait(WAIT_SECONDS)
    loading.may_end.set()
    assert first.result(WAIT_SECONDS) == "old"
    # The end of the old loading must not hide the new one from those who come now.
    third = join(never)
    newer.may_end.set()
    assert second.result(WAIT_SECONDS) == third.result(WAIT_SECONDS) == "new"


def test_the_failure_of_one_is_not_the_failure_of_the_others(load: Load, join: Join) -> None:
    loading = Loading(ValueError("the leader's own"))
    first = load(loading)
    assert loading.begun.wait(WAIT_SECONDS)
    second = join(lambda: "loaded again")
    loading.may_end.set()
    with pytest.raises(ValueError, match="the leader's own"):
        first.result(WAIT_SECONDS)
    assert second.result(WAIT_SECONDS) == "loaded again"


def test_nobody_waits_beyond_their_deadline(flights: Flights[str], load: Load) -> None:
    loading = Loading("late")
    first = load(loading)
    assert loading.begun.wait(WAIT_SECONDS)
    with pytest.raises(AppError) as caught:
        flights.load("key", never, Deadline.after(0.01))
    assert caught.value.code == "DEADLINE_EXCEEDED"
    loading.may_end.set()
    assert first.result(WAIT_SECONDS) == "late"
