from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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

    def __call__(self, keys: Sequence[str]) -> dict[str, str]:
        self.begun.set()
        assert self.may_end.wait(WAIT_SECONDS)
        if isinstance(self._result, Exception):
            raise self._result
        return dict.fromkeys(keys, self._result)


Loader = Callable[[Sequence[str]], Mapping[str, str]]
Load = Callable[[Loader], "Future[str]"]
Join = Callable[[Loader], "Future[str]"]


def one(flights: Flights[str], loader: Loader, deadline: Deadline, key: str = "key") -> str:
    return flights.load([key], loader, deadline)[key]


def finding(value: str) -> Loader:
    return lambda keys: dict.fromkeys(keys, value)


@pytest.fixture
def flights() -> Flights[str]:
    return Flights()


@pytest.fixture
def load(flights: Flights[str]) -> Iterator[Load]:
    with ThreadPoolExecutor(8) as pool:
        yield lambda loader: pool.submit(one, flights, loader, Deadline.after(WAIT_SECONDS))


@pytest.fixture
def join(flights: Flights[str]) -> Iterator[Join]:
    """Load as one who finds a loading under way, and return when it is waiting for that."""
    with ThreadPoolExecutor(8) as pool:

        def begin(loader: Loader) -> Future[str]:
            joined = threading.Event()

            def clock() -> float:
                # Only those who wait for another one's loading ask how long they may.
                joined.set()
                return time.monotonic()

            deadline = Deadline(time.monotonic() + WAIT_SECONDS, clock)
            future = pool.submit(one, flights, loader, deadline)
            assert joined.wait(WAIT_SECONDS)
            return future

        yield begin


def never(_keys: Sequence[str]) -> dict[str, str]:
    raise AssertionError("This loading must not run.")


def test_calls_at_the_same_time_share_one_loading(load: Load, join: Join) -> None:
    loading = Loading("found")
    first = load(loading)
    assert loading.begun.wait(WAIT_SECONDS)
    others = [join(never) for _ in range(3)]
    loading.may_end.set()
    assert [each.result(WAIT_SECONDS) for each in (first, *others)] == ["found"] * 4


def test_a_later_call_loads_for_itself(flights: Flights[str]) -> None:
    deadline = Deadline.after(WAIT_SECONDS)
    assert one(flights, finding("first"), deadline) == "first"
    assert one(flights, finding("second"), deadline) == "second"


def test_another_key_loads_for_itself(flights: Flights[str], load: Load) -> None:
    loading = Loading("found")
    first = load(loading)
    assert loading.begun.wait(WAIT_SECONDS)
    deadline = Deadline.after(WAIT_SECONDS)
    assert one(flights, finding("other"), deadline, key="other") == "other"
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
    second = join(finding("loaded again"))
    loading.may_end.set()
    with pytest.raises(ValueError, match="the leader's own"):
        first.result(WAIT_SECONDS)
    assert second.result(WAIT_SECONDS) == "loaded again"


def test_nobody_waits_beyond_their_deadline(flights: Flights[str], load: Load) -> None:
    loading = Loading("late")
    first = load(loading)
    assert loading.begun.wait(WAIT_SECONDS)
    with pytest.raises(AppError) as caught:
        one(flights, never, Deadline.after(0.01))
    assert caught.value.code == "DEADLINE_EXCEEDED"
    loading.may_end.set()
    assert first.result(WAIT_SECONDS) == "late"


def test_of_many_keys_those_under_way_are_joined_and_the_others_loaded(
    flights: Flights[str], load: Load
) -> None:
    loading = Loading("by the first")
    first = load(loading)
    assert loading.begun.wait(WAIT_SECONDS)
    loaded: list[str] = []

    def loader(keys: Sequence[str]) -> dict[str, str]:
        loaded.extend(keys)
        # Only now does the other one end: what is loaded here must not wait for it.
        loading.may_end.set()
        return dict.fromkeys(keys, "by the second")

    found = flights.load(["a", "key", "b"], loader, Deadline.after(WAIT_SECONDS))
    assert found == {"a": "by the second", "key": "by the first", "b": "by the second"}
    assert loaded == ["a", "b"]
    assert first.result(WAIT_SECONDS) == "by the first"


def test_who_joins_one_key_loads_the_others_before_waiting_for_it(flights: Flights[str]) -> None:
    # Each leads one key and joins the other's: the barrier opens when both are loading.
    both_lead = threading.Barrier(2)

    def reader(keys: Sequence[str]) -> dict[str, str]:
        def loader(wanted: Sequence[str]) -> dict[str, str]:
            both_lead.wait(WAIT_SECONDS)
            return dict.fromkeys(wanted, keys[0])

        if keys[0] == "b":
            assert a_leads.wait(WAIT_SECONDS)
        return flights.load(keys, loader, Deadline.after(WAIT_SECONDS))

    a_leads = threading.Event()

    def first() -> dict[str, str]:
        def loader(wanted: Sequence[str]) -> dict[str, str]:
            assert wanted == ["a"]
            a_leads.set()
            both_lead.wait(WAIT_SECONDS)
            return {"a": "a"}

        return flights.load(["a"], loader, Deadline.after(WAIT_SECONDS))

    with ThreadPoolExecutor(2) as pool:
        one_of_a, both = pool.submit(first), pool.submit(reader, ["b", "a"])
        assert one_of_a.result(WAIT_SECONDS) == {"a": "a"}
        assert both.result(WAIT_SECONDS) == {"b": "b", "a": "a"}


def test_of_many_keys_those_that_another_failed_to_load_are_loaded_again(
    load: Load, flights: Flights[str]
) -> None:
    loading = Loading(ValueError("the leader's own"))
    first = load(loading)
    assert loading.begun.wait(WAIT_SECONDS)
    loaded: list[list[str]] = []

    def loader(keys: Sequence[str]) -> dict[str, str]:
        loaded.append(list(keys))
        loading.may_end.set()
        return dict.fromkeys(keys, "here")

    found = flights.load(["key", "other"], loader, Deadline.after(WAIT_SECONDS))
    assert found == {"key": "here", "other": "here"}
    assert loaded == [["other"], ["key"]]
    assert isinstance(first.exception(WAIT_SECONDS), ValueError)


def test_when_many_cannot_be_loaded_nobody_waits_for_them_any_more(flights: Flights[str]) -> None:
    def failing(_keys: Sequence[str]) -> dict[str, str]:
        raise ValueError("the database is away")

    deadline = Deadline.after(WAIT_SECONDS)
    with pytest.raises(ValueError, match="away"):
        flights.load(["a", "b"], failing, deadline)
    assert flights.load(["b", "a"], finding("again"), deadline) == {"a": "again", "b": "again"}
