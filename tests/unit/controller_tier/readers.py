"""Readers of single things at the same time, over a service tier that stands still meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from controller_tier.shared_reads import SharedReads
from tests.fakes.clock import FakeClock
from tests.fakes.service import FakeServiceTier
from tests.stores.waiting import eventually
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline

T = TypeVar("T")

WAIT_SECONDS = 5.0
ADMIN = Actor("019aa000-0000-7000-8000-00000000000a", frozenset({"admin", "user"}))
STRANGER = Actor("019aa000-0000-7000-8000-00000000000b", frozenset({"user"}), "session-1")
ANYBODY = Actor()


class Readers:
    """Threads that read, and a fake service tier that stands still until a test lets it answer."""

    def __init__(self) -> None:
        self.tier = FakeServiceTier(FakeClock())
        self.tier.before = self._stand_still
        self._may_answer = threading.Semaphore(0)
        self._pool = ThreadPoolExecutor(8)

    def _stand_still(self, _method: str) -> None:
        assert self._may_answer.acquire(timeout=WAIT_SECONDS)

    def start(self, actor: Actor, request_id: str, read: Callable[[], T]) -> Future[T]:
        """Read in a thread, and a call, of its own."""

        def called() -> T:
            with call_scope(Call(actor, request_id, Deadline.after(WAIT_SECONDS))):
                return read()

        return self._pool.submit(called)

    def wait_until_asked(self, count: int) -> None:
        eventually(lambda: len(self.tier.received) == count, what="the RPC")

    def answer(self, count: int = 1) -> None:
        self._may_answer.release(count)

    def close(self) -> None:
        self._pool.shutdown()


def wait_until_gathered(reads: SharedReads[T], count: int) -> None:
    """Wait until so many callers wait for the next flight."""
    slots = reads._coalescer._gathering
    eventually(
        lambda: sum(len(slot.waiters) for slot in list(slots.values())) == count,
        what="the callers",
    )
