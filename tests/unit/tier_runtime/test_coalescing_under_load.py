from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from tier_runtime.coalescing import Coalescer, Wanted
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

WAIT_SECONDS = 5.0

Outcome = str | AppError


class Load:
    """Many threads that ask for random keys, of which some fail, and watch what they get."""

    THREADS, CALLS, MAX_BATCH = 24, 150, 5

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.lock = threading.Lock()
        self.out = self.most_out = self.largest = self.flights = 0
        self.faults: list[str] = []
        self.peer = ThreadPoolExecutor(2)
        self.coalescer: Coalescer[tuple[int, int], str] = Coalescer(
            self._fly, max_batch=self.MAX_BATCH, patience_seconds=0.001
        )

    def _fly(
        self, wanted: Sequence[Wanted[tuple[int, int]]], deadline: Deadline
    ) -> Sequence[Outcome]:
        with self.lock:
            self.out += 1
            self.flights += 1
            self.most_out = max(self.most_out, self.out)
            self.largest = max(self.largest, len(wanted))
            if len({one.key for one in wanted}) != len(wanted):
                self.faults.append("one key twice in a flight")
        try:
            # Another thread answers, as a peer would, so that others run meanwhile.
            keys = [one.key for one in wanted]
            return self.peer.submit(_answers, keys).result(WAIT_SECONDS)
        finally:
            with self.lock:
                self.out -= 1

    def _caller(self, index: int) -> None:
        random = Random(f"{self.seed}/{index}")
        for _ in range(self.CALLS):
            # Mostly found, sometimes missing, rarely the end of the whole flight.
            number, kind = random.randrange(12), random.choices((0, 1, 2), (30, 5, 1))[0]
            seconds = random.choice((0.0, 0.0005, WAIT_SECONDS, WAIT_SECONDS))
            fault = self._fault_of(number, kind, seconds)
            if fault:
                self.faults.append(fault)

    def _fault_of(self, number: int, kind: int, seconds: float) -> str:
        try:
            answer = self.coalescer.ask((number, kind), Deadline.after(seconds))
        except AppError as error:
            if error.code == "DEADLINE_EXCEEDED":
                return "" if seconds < WAIT_SECONDS else "late without reason"
            if error.code == "USER_NOT_FOUND":
                return "" if kind == 1 else "another one's error"
            return "" if error.code == "SERVICE_UNAVAILABLE" else error.code
        return "" if (answer, kind) == (f"{number}", 0) else "another one's answer"

    def run(self) -> None:
        threads = [
            threading.Thread(target=self._caller, args=(index,)) for index in range(self.THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)


def _answers(keys: Sequence[tuple[int, int]]) -> list[Outcome]:
    if any(kind == 2 for _, kind in keys):
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")
    return [_missing() if kind == 1 else f"{number}" for number, kind in keys]


@pytest.mark.parametrize("seed", range(4))
def test_under_load_each_gets_its_own_answer_within_the_bounds(seed: int) -> None:
    load = Load(seed)
    load.run()
    assert load.faults == []
    assert load.largest <= load.MAX_BATCH
    assert load.most_out <= 2
    assert load.flights < load.THREADS * load.CALLS
    # Nothing is left behind: the next caller leaves at once, alone.
    before = load.flights
    assert load.coalescer.ask((1, 0), Deadline.after(WAIT_SECONDS)) == "1"
    assert load.flights == before + 1
    load.peer.shutdown()


def _missing() -> AppError:
    return AppError(Kind.MISSING, "USER_NOT_FOUND", "Nobody.")
