from __future__ import annotations

import threading
import time

import pytest

from tests.stores.waiting import eventually
from tier_runtime.cutoffs import Cutoffs, Patience

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


def test_patience_is_lost_by_one_long_wait() -> None:
    cut = threading.Event()
    patience = Patience(Cutoffs(), 0.02, cut.set)
    with patience.waiting():
        assert cut.wait(SECONDS)
    assert patience.is_lost


def test_patience_is_not_lost_by_many_short_waits_or_by_work_between_them() -> None:
    cutoffs, cuts, looks = Cutoffs(), [], threading.Semaphore(0)
    patience = Patience(cutoffs, 0.05, lambda: cuts.append(1))
    ends = time.monotonic() + 0.3
    while time.monotonic() < ends:
        with patience.waiting():
            pass
    # What is done between two waits may take as long as it likes.
    cutoffs.add(0.2, looks.release)
    assert looks.acquire(timeout=SECONDS)
    assert (cuts, patience.is_lost) == ([], False)
    patience.end()


def test_a_wait_that_began_after_the_last_look_has_its_whole_time() -> None:
    cutoffs, cut, looked = Cutoffs(), threading.Event(), threading.Event()
    patience = Patience(cutoffs, 0.2, cut.set)
    cutoffs.add(0.1, looked.set)
    assert looked.wait(SECONDS)
    began = time.monotonic()
    with patience.waiting():
        assert cut.wait(SECONDS)
    assert time.monotonic() - began >= 0.2


def test_patience_that_has_ended_cuts_nothing() -> None:
    cutoffs, cuts, over = Cutoffs(), [], threading.Event()
    patience = Patience(cutoffs, 0.01, lambda: cuts.append(1))
    with patience.waiting():
        patience.end()
        cutoffs.add(0.05, over.set)
        assert over.wait(SECONDS)
    assert (cuts, patience.is_lost) == ([], False)
