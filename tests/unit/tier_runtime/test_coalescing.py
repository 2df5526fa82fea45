from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.fakes.clock import FakeClock
from tier_runtime.coalescing import Coalescer, Wanted
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

WAIT_SECONDS = 5.0

Outcome = str | AppError


def found(wanted: Sequence[Wanted[str]]) -> list[Outcome]:
    return [f"found {one.key}" for one in wanted]


def missing() -> AppError:
    return AppError(Kind.MISSING, "USER_NOT_FOUND", "Nobody.", user_id="u-1")


class Flight:
    """One flight, which stands still until a test lets it land."""

    def __init__(self, wanted: Sequence[Wanted[str]], deadline: Deadline) -> None:
        self.keys = [one.key for one in wanted]
        self.notes = [list(one.notes) for one in wanted]
        self.deadline = deadline
        self.thread = threading.current_thread()
        self._wanted = wanted
        self._may_land: Future[Sequence[Outcome]] = Future()

    def land(self, *outcomes: Outcome) -> None:
        self._may_land.set_result(outcomes or found(self._wanted))

    def crash(self, error: BaseException) -> None:
        self._may_land.set_exception(error)

    def outcomes(self) -> Sequence[Outcome]:
        return self._may_land.result(WAIT_SECONDS)


class Airport:
    """A coalescer, the flights that have left it, and callers in threads of their own."""

    def __init__(self, max_batch: int = 8) -> None:
        self.clock = FakeClock()
        self.coalescer: Coalescer[str, str] = Coalescer(
            self._fly, max_batch=max_batch, patience_seconds=0.002, clock=self.clock.monotonic
        )
        self._left = threading.Semaphore(0)
        self._flights: list[Flight] = []
        self._taken = 0
        self._pool = ThreadPoolExecutor(16)

    def _fly(self, wanted: Sequence[Wanted[str]], deadline: Deadline) -> Sequence[Outcome]:
        flight = Flight(wanted, deadline)
        self._flights.append(flight)
        self._left.release()
        return flight.outcomes()

    def next_flight(self) -> Flight:
        assert self._left.acquire(timeout=WAIT_SECONDS)
        self._taken += 1
        return self._flights[self._taken - 1]

    def no_flight(self) -> bool:
        return len(self._flights) == self._taken

    def call(self, key: str, seconds: float = WAIT_SECONDS, note: str = "") -> Future[str]:
        return self._pool.submit(self.coalescer.ask, key, Deadline.after(seconds), note)

    def waiting(self, key: str, seconds: float = WAIT_SECONDS, note: str = "") -> Future[str]:
        """Call while a flight is out, and return when the caller waits."""
        waits = threading.Event()

        def clock() -> float:
            # Only those who wait ask how long they may.
            waits.set()
            return time.monotonic()

        deadline = Deadline(time.monotonic() + seconds, clock)
        future = self._pool.submit(self.coalescer.ask, key, deadline, note)
        assert waits.wait(WAIT_SECONDS)
        return future

    def close(self) -> None:
        self._pool.shutdown()


@pytest.fixture
def airport() -> Iterator[Airport]:
    made = Airport()
    yield made
    made.close()


def test_a_lone_caller_leaves_at_once_in_its_own_thread() -> None:
    threads = []

    def fly(wanted: Sequence[Wanted[str]], _deadline: Deadline) -> list[Outcome]:
        threads.append(threading.current_thread())
        return found(wanted)

    coalescer: Coalescer[str, str] = Coalescer(fly, max_batch=8)
    assert coalescer.ask("a", Deadline.after(WAIT_SECONDS)) == "found a"
    assert coalescer.ask("a", Deadline.after(WAIT_SECONDS)) == "found a"
    assert threads == [threading.current_thread()] * 2


def test_those_who_come_while_one_is_out_go_together(airport: Airport) -> None:
    first = airport.call("a")
    flight = airport.next_flight()
    others = [airport.waiting(key) for key in "bcd"]
    assert airport.no_flight()
    flight.land()
    assert first.result(WAIT_SECONDS) == "found a"
    second = airport.next_flight()
    assert second.keys == ["b", "c", "d"]
    second.land()
    assert [one.result(WAIT_SECONDS) for one in others] == ["found b", "found c", "found d"]


def test_a_batch_is_bounded_and_the_oldest_go_first() -> None:
    airport = Airport(max_batch=2)
    airport.call("a")
    flight = airport.next_flight()
    others = [airport.waiting(key) for key in "bcdef"]
    keys = []
    for _ in range(3):
        flight.land()
        flight = airport.next_flight()
        keys.append(flight.keys)
    flight.land()
    assert keys == [["b", "c"], ["d", "e"], ["f"]]
    assert [one.result(WAIT_SECONDS)[-1] for one in others] == list("bcdef")
    airport.close()


def test_equal_keys_share_a_place_and_keep_their_notes(airport: Airport) -> None:
    airport.call("a", note="r-1")
    flight = airport.next_flight()
    assert flight.notes == [["r-1"]]
    others = [
        airport.waiting("b", note="r-2"),
        airport.waiting("c"),
        airport.waiting("b", note="r-3"),
    ]
    flight.land()
    second = airport.next_flight()
    assert (second.keys, second.notes) == (["b", "c"], [["r-2", "r-3"], []])
    second.land()
    assert [one.result(WAIT_SECONDS) for one in others] == ["found b", "found c", "found b"]


def test_nobody_joins_what_has_left_for_it_may_bring_what_is_old_by_now(airport: Airport) -> None:
    first = airport.call("a")
    flight = airport.next_flight()
    second = airport.waiting("a")
    flight.land("before the write")
    later = airport.next_flight()
    third = airport.waiting("a")
    later.land("after the write")
    assert first.result(WAIT_SECONDS) == "before the write"
    assert second.result(WAIT_SECONDS) == "after the write"
    airport.next_flight().land()
    assert third.result(WAIT_SECONDS) == "found a"


def test_the_one_with_the_latest_deadline_leads_with_it(airport: Airport) -> None:
    threads: dict[str, threading.Thread] = {}
    airport.call("a")
    flight = airport.next_flight()
    airport.waiting("b", 3.0)
    patient = airport.waiting("c", 4.0)
    airport.waiting("d", 2.0)
    patient.add_done_callback(lambda _: threads.setdefault("c", threading.current_thread()))
    flight.land()
    second = airport.next_flight()
    left = second.deadline.remaining()
    assert 3.0 < left <= 4.0
    second.land()
    assert patient.result(WAIT_SECONDS) == "found c"
    assert threads["c"] is second.thread


def test_each_gets_its_own_error_and_leaves_the_others_alone(airport: Airport) -> None:
    airport.call("a")
    flight = airport.next_flight()
    one, other, lucky = airport.waiting("b"), airport.waiting("b"), airport.waiting("c")
    flight.land()
    airport.next_flight().land(missing(), "found c")
    errors = [one.exception(WAIT_SECONDS), other.exception(WAIT_SECONDS)]
    assert lucky.result(WAIT_SECONDS) == "found c"
    assert errors[0] is not errors[1]
    for error in errors:
        assert isinstance(error, AppError)
        assert (error.kind, error.code, error.metadata) == (
            Kind.MISSING,
            "USER_NOT_FOUND",
            {"user_id": "u-1"},
        )


def test_a_lone_caller_gets_its_error(airport: Airport) -> None:
    lone = airport.call("a")
    airport.next_flight().land(missing())
    with pytest.raises(AppError, match="USER_NOT_FOUND"):
        lone.result(WAIT_SECONDS)


def test_when_a_flight_fails_each_of_its_callers_gets_an_error_of_its_own(airport: Airport) -> None:
    airport.call("a")
    flight = airport.next_flight()
    failing = [airport.waiting(key) for key in "bcd"]
    flight.land()
    second = airport.next_flight()
    lucky = airport.waiting("e")
    second.crash(AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.", retry_after=1.0))
    errors = [one.exception(WAIT_SECONDS) for one in failing]
    assert len({id(error) for error in errors}) == 3
    for error in errors:
        assert isinstance(error, AppError)
        assert (error.kind, error.retry_after) == (Kind.UNAVAILABLE, 1.0)
    airport.next_flight().land()
    assert lucky.result(WAIT_SECONDS) == "found e"


@pytest.mark.parametrize("error", [ZeroDivisionError(), SystemExit()])
def test_what_is_no_error_of_ours_stays_with_who_leads(
    airport: Airport, error: BaseException
) -> None:
    airport.call("a")
    flight = airport.next_flight()
    follower, leader = airport.waiting("b", 3.0), airport.waiting("c", 4.0)
    flight.land()
    airport.next_flight().crash(error)
    assert leader.exception(WAIT_SECONDS) is error
    shown = follower.exception(WAIT_SECONDS)
    assert isinstance(shown, AppError)
    assert shown.kind is Kind.INTERNAL


def test_a_flight_that_answers_for_others_than_were_asked_for_has_failed(airport: Airport) -> None:
    lone = airport.call("a")
    airport.next_flight().land("one", "two")
    with pytest.raises(ValueError, match="1 keys were asked for, and 2 answered"):
        lone.result(WAIT_SECONDS)


def test_who_is_late_before_the_flight_leaves_takes_no_place_in_it(airport: Airport) -> None:
    airport.call("a")
    flight = airport.next_flight()
    late, sharing, patient = (
        airport.waiting("b", 0.01),
        airport.waiting("c", 0.01),
        airport.waiting("c"),
    )
    for one in (late, sharing):
        with pytest.raises(AppError, match="DEADLINE_EXCEEDED"):
            one.result(WAIT_SECONDS)
    flight.land()
    second = airport.next_flight()
    assert second.keys == ["c"]
    second.land()
    assert patient.result(WAIT_SECONDS) == "found c"


def test_who_is_late_while_the_flight_is_out_leaves_the_others_alone(airport: Airport) -> None:
    airport.call("a")
    flight = airport.next_flight()
    late, patient = airport.waiting("b", 0.05), airport.waiting("c")
    flight.land()
    second = airport.next_flight()
    with pytest.raises(AppError, match="DEADLINE_EXCEEDED"):
        late.result(WAIT_SECONDS)
    second.land()
    assert patient.result(WAIT_SECONDS) == "found c"


def test_a_second_flight_leaves_only_when_the_first_is_out_for_long(airport: Airport) -> None:
    slow = airport.call("a")
    first = airport.next_flight()
    quick = airport.waiting("b")
    # It looks every 2 ms, but on the clock of the flights no time goes by.
    with pytest.raises(TimeoutError):
        quick.result(0.03)
    assert airport.no_flight()
    airport.clock.advance(1)
    second = airport.next_flight()
    third = airport.waiting("c")
    airport.clock.advance(60)
    with pytest.raises(TimeoutError):
        third.result(0.03)
    # Two are enough, however long they take.
    assert airport.no_flight()
    second.land()
    assert quick.result(WAIT_SECONDS) == "found b"
    airport.next_flight().land()
    assert third.result(WAIT_SECONDS) == "found c"
    first.land()
    assert slow.result(WAIT_SECONDS) == "found a"


def test_a_newcomer_leads_the_second_flight_when_the_first_is_out_for_long(
    airport: Airport,
) -> None:
    slow = airport.call("a")
    first = airport.next_flight()
    airport.clock.advance(1)
    quick = airport.call("b")
    airport.next_flight().land()
    assert quick.result(WAIT_SECONDS) == "found b"
    first.land()
    assert slow.result(WAIT_SECONDS) == "found a"


def test_with_a_batch_of_one_all_fly_alone_at_the_same_time() -> None:
    airport = Airport(max_batch=1)
    calls = [airport.call(key) for key in ("a", "a", "b")]
    flights = [airport.next_flight() for _ in calls]
    assert sorted(flight.keys for flight in flights) == [["a"], ["a"], ["b"]]
    for flight in flights:
        flight.land(*(["found"] if flight.keys == ["a"] else [missing()]))
    assert [one.result(WAIT_SECONDS) for one in calls[:2]] == ["found", "found"]
    with pytest.raises(AppError, match="USER_NOT_FOUND"):
        calls[2].result(WAIT_SECONDS)
    airport.close()
