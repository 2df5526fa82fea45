from __future__ import annotations

import threading

import pytest

from tests.stores.waiting import eventually
from tier_runtime.cutoffs import Cutoffs

SECONDS = 10.0
LONG = 3600.0


def test_what_is_not_lifted_is_cut_in_the_order_of_time() -> None:
    cutoffs, order, last = Cutoffs(), [], threading.Event()
    cutoffs.add(0.04, last.set)
    # Earlier than the one that the thread already waits for.
    cutoffs.add(0.02, lambda: order.append("second"))
    cutoffs.add(0.01, lambda: order.append("first"))
    cutoffs.add(0.03, lambda: order.append("lifted")).lift()
    assert last.wait(SECONDS)
    assert order == ["first", "second"]


def test_an_early_one_does_not_wait_for_a_late_one() -> None:
    cutoffs, early = Cutoffs(), threading.Event()
    cutoffs.add(LONG, lambda: None)
    cutoffs.add(0.01, early.set)
    assert early.wait(SECONDS)


def test_what_was_cut_is_not_cut_again() -> None:
    cutoffs, times, cut = Cutoffs(), [], threading.Event()
    cutoff = cutoffs.add(LONG, lambda: times.append(1))
    cutoff.fall()
    cutoff.fall()
    assert cutoff.is_lifted
    cutoffs.add(0.0, cut.set)
    assert cut.wait(SECONDS)
    assert times == [1]


def _threads() -> int:
    return sum(thread.name == "cutoffs" for thread in threading.enumerate())


def test_the_thread_ends_with_the_last_one_and_begins_anew() -> None:
    before, cutoffs = _threads(), Cutoffs()
    for _ in range(2):
        cut = threading.Event()
        cutoffs.add(0.0, cut.set)
        assert cut.wait(SECONDS)
        eventually(lambda: _threads() <= before, SECONDS, "the thread has ended")


def test_one_that_fails_does_not_keep_others_from_being_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)

    def fail() -> None:
        raise ValueError("It broke.")

    cutoffs, cut = Cutoffs(), threading.Event()
    cutoffs.add(0.0, fail)
    eventually(lambda: bool(told), SECONDS, "it has failed")
    cutoffs.add(0.0, cut.set)
    assert cut.wait(SECONDS)
