from __future__ import annotations

import threading

import pytest

from tests.fakes.clock import FakeClock
from tier_runtime.call import Actor, Call, call_scope, current_call
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind


def call(request_id: str = "r-1") -> Call:
    return Call(Actor("u-1"), request_id, Deadline.after(1))


def test_an_actor_without_a_subject_is_anonymous() -> None:
    assert Actor().is_anonymous
    assert not Actor("u-1").is_anonymous


def test_outside_of_a_scope_there_is_no_call() -> None:
    assert current_call() is None


def test_scopes_nest_and_end_also_when_the_block_raises() -> None:
    outer, inner = call("outer"), call("inner")
    with call_scope(outer):
        with call_scope(inner):
            assert current_call() is inner
        assert current_call() is outer
        with pytest.raises(KeyError), call_scope(inner):
            raise KeyError
        assert current_call() is outer
    assert current_call() is None


def test_another_thread_does_not_see_the_call() -> None:
    seen: list[Call | None] = []
    with call_scope(call()):
        thread = threading.Thread(target=lambda: seen.append(current_call()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_a_deadline_counts_down_to_zero_and_no_further() -> None:
    clock = FakeClock()
    deadline = Deadline.after(2.0, clock.monotonic)
    clock.advance(0.5)
    assert deadline.remaining() == 1.5
    clock.advance(5)
    assert deadline.remaining() == 0.0


def test_check_raises_from_the_moment_the_time_is_over() -> None:
    clock = FakeClock()
    deadline = Deadline.after(2.0, clock.monotonic)
    deadline.check()
    clock.advance(2.0)
    with pytest.raises(AppError) as caught:
        deadline.check()
    assert (caught.value.kind, caught.value.code) == (Kind.DEADLINE, "DEADLINE_EXCEEDED")


def test_a_shrunk_deadline_is_earlier_on_the_same_clock() -> None:
    clock = FakeClock()
    shrunk = Deadline.after(2.0, clock.monotonic).shrunk(0.5)
    clock.advance(1.0)
    assert shrunk.remaining() == 0.5


def test_by_default_deadlines_use_the_machine_clock() -> None:
    assert 59 < Deadline.after(60).remaining() <= 60
