from __future__ import annotations

import pytest

from tests.fakes.clock import FakeClock
from tier_runtime.breaker import Breaker, BreakerOpenError


class AwayError(Exception):
    pass


class Neighbour:
    """Asked through a breaker that opens after two failures, for ten seconds."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.changes: list[bool] = []
        self.asked = 0
        self._breaker = Breaker(self.clock, 2, 10.0, self.changes.append)

    def ask(self, error: Exception | None = None) -> str:
        try:
            with self._breaker.guard(AwayError):
                self.asked += 1
                if error is not None:
                    raise error
                return "answered"
        except BreakerOpenError:
            return "left alone"
        except AwayError:
            return "failed"


@pytest.fixture
def neighbour() -> Neighbour:
    return Neighbour()


def test_a_neighbour_that_answers_is_always_asked(neighbour: Neighbour) -> None:
    assert {neighbour.ask() for _ in range(10)} == {"answered"}
    assert neighbour.changes == []


def test_after_failures_in_a_row_it_is_left_alone(neighbour: Neighbour) -> None:
    said = [neighbour.ask(AwayError()) for _ in range(4)]
    assert said == ["failed", "failed", "left alone", "left alone"]
    assert neighbour.asked == 2
    assert neighbour.changes == [True]


def test_a_success_between_failures_begins_the_count_anew(neighbour: Neighbour) -> None:
    for error in (AwayError(), None, AwayError(), None):
        neighbour.ask(error)
    assert neighbour.ask() == "answered"


def test_after_its_time_one_success_closes_it(neighbour: Neighbour) -> None:
    neighbour.ask(AwayError())
    neighbour.ask(AwayError())
    neighbour.clock.advance(9.9)
    assert neighbour.ask() == "left alone"
    neighbour.clock.advance(0.1)
    assert [neighbour.ask(), neighbour.ask()] == ["answered", "answered"]
    assert neighbour.changes == [True, False]


def test_after_its_time_one_failure_opens_it_again(neighbour: Neighbour) -> None:
    neighbour.ask(AwayError())
    neighbour.ask(AwayError())
    neighbour.clock.advance(10)
    assert neighbour.ask(AwayError()) == "failed"
    assert neighbour.ask() == "left alone"
    assert neighbour.changes == [True]


def test_while_one_call_tries_the_others_stay_out() -> None:
    clock = FakeClock()
    breaker = Breaker(clock, 1, 10.0)
    with pytest.raises(AwayError), breaker.guard(AwayError):
        raise AwayError
    clock.advance(10)
    with breaker.guard(AwayError), pytest.raises(BreakerOpenError), breaker.guard(AwayError):
        pass


def test_an_error_of_another_kind_is_no_failure_of_the_neighbour(neighbour: Neighbour) -> None:
    for _ in range(3):
        with pytest.raises(ValueError, match="ours"):
            neighbour.ask(ValueError("ours"))
    assert neighbour.ask() == "answered"


def test_who_enters_and_says_later_how_it_ended_is_counted_too() -> None:
    clock, changes = FakeClock(), list[bool]()
    breaker = Breaker(clock, 2, 10.0, changes.append)
    for _ in range(2):
        breaker.enter()
    for _ in range(2):
        breaker.note(succeeded=False)
    assert changes == [True]
    with pytest.raises(BreakerOpenError) as refused:
        breaker.enter()
    assert refused.value.seconds == 10.0
    clock.advance(10)
    breaker.enter()
    breaker.note(succeeded=True)
    assert not breaker.is_open
    assert changes == [True, False]
