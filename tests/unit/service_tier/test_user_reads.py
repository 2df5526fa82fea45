from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from arcana.repository.v1 import user_pb2, user_repository_pb2
from service_tier.user_reads import UserReads
from tests.fakes.clock import FakeClock
from tests.fakes.repository import FakeRepository
from tests.stores.waiting import eventually
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

UNKNOWN = "019aa000-0000-7000-8000-000000000001"
WAIT_SECONDS = 5.0


class Readers:
    """Reads over a fake repository tier that stands still until a test lets it answer."""

    def __init__(self, max_batch: int = 64) -> None:
        self.repository = FakeRepository(FakeClock())
        self.channel = self.repository.channel()
        self.channel.before = {"GetUser": self._stand_still, "BatchGetUsers": self._stand_still}
        # Nobody is so slow here that a second RPC would leave beside the first.
        self.reads = UserReads(self.channel, max_batch=max_batch, patience_seconds=3600)
        self.asked: list[Any] = []
        self._may_answer = threading.Semaphore(0)
        self._pool = ThreadPoolExecutor(8)

    def _stand_still(self, request: Any) -> None:
        self.asked.append(request)
        assert self._may_answer.acquire(timeout=WAIT_SECONDS)

    def make(self, user_id: str) -> str:
        with self.repository.state.lock:
            user = self.repository.users._created(
                user_repository_pb2.CreateUserRequest(
                    user_id=user_id, email=f"{user_id}@example.org", name=user_id, roles=["user"]
                )
            ).user
        return user.id

    def read(self, user_id: str, request_id: str) -> Future[user_pb2.User]:
        call = Call(Actor("u-1"), request_id, Deadline.after(WAIT_SECONDS))

        def get() -> user_pb2.User:
            with call_scope(call):
                answer = self.reads.get(call, user_id)
            return user_repository_pb2.GetUserResponse.FromString(answer).user

        return self._pool.submit(get)

    def wait_until_asked(self, count: int) -> None:
        eventually(lambda: len(self.asked) == count, what="the RPC")

    def wait_until_gathered(self, count: int) -> None:
        slots = self.reads._coalescer._gathering
        eventually(
            lambda: sum(len(slot.waiters) for slot in list(slots.values())) == count,
            what="the callers",
        )

    def answer(self, count: int = 1) -> None:
        self._may_answer.release(count)

    def close(self) -> None:
        self._pool.shutdown()


@pytest.fixture
def readers() -> Iterator[Readers]:
    made = Readers()
    yield made
    made.close()


def test_a_lone_read_is_the_single_rpc(readers: Readers) -> None:
    ada = readers.make("ada")
    readers.answer(2)
    assert readers.read(ada, "r-1").result(WAIT_SECONDS).name == "ada"
    with pytest.raises(AppError, match="USER_NOT_FOUND"):
        readers.read(UNKNOWN, "r-2").result(WAIT_SECONDS)
    assert readers.channel.calls == ["GetUser", "GetUser"]


def test_reads_at_the_same_time_go_on_as_one_and_each_gets_its_own_answer(
    readers: Readers,
) -> None:
    ada, bob = readers.make("ada"), readers.make("bob")
    first = readers.read(ada, "r-1")
    readers.wait_until_asked(1)
    others = []
    for number, user_id in enumerate((bob, UNKNOWN, ada, bob), 2):
        others.append(readers.read(user_id, f"r-{number}"))
        readers.wait_until_gathered(number - 1)
    readers.answer(2)
    assert first.result(WAIT_SECONDS).name == "ada"
    with pytest.raises(AppError, match="USER_NOT_FOUND"):
        others.pop(1).result(WAIT_SECONDS)
    assert [one.result(WAIT_SECONDS).name for one in others] == ["bob", "ada", "bob"]
    assert readers.channel.calls == ["GetUser", "BatchGetUsers"]
    request = readers.asked[1]
    assert list(request.user_ids) == [bob, UNKNOWN, ada]
    # For the log: also of those who share a read.
    assert list(request.request_ids) == ["r-2", "r-5", "r-3", "r-4"]


def test_two_who_want_the_same_are_both_told_of(readers: Readers) -> None:
    ada = readers.make("ada")
    reads = [readers.read(ada, "r-1")]
    readers.wait_until_asked(1)
    for number in (2, 3):
        reads.append(readers.read(ada, f"r-{number}"))
        readers.wait_until_gathered(number - 1)
    readers.answer(2)
    assert [one.result(WAIT_SECONDS).name for one in reads] == ["ada"] * 3
    assert list(readers.asked[1].request_ids) == ["r-2", "r-3"]


def test_with_a_batch_of_one_each_read_is_an_rpc_of_its_own() -> None:
    readers = Readers(max_batch=1)
    ada = readers.make("ada")
    reads = [readers.read(ada, f"r-{number}") for number in range(4)]
    readers.wait_until_asked(4)
    readers.answer(4)
    assert [one.result(WAIT_SECONDS).name for one in reads] == ["ada"] * 4
    assert readers.channel.calls == ["GetUser"] * 4
    readers.close()


def test_when_the_repository_tier_is_away_each_reader_is_told(readers: Readers) -> None:
    def away(request: Any) -> None:
        readers._stand_still(request)
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    readers.channel.before["BatchGetUsers"] = away
    ada = readers.make("ada")
    first = readers.read(ada, "r-1")
    readers.wait_until_asked(1)
    others = []
    for number in (2, 3):
        others.append(readers.read(f"{number}", f"r-{number}"))
        readers.wait_until_gathered(number - 1)
    readers.answer(2)
    assert first.result(WAIT_SECONDS).name == "ada"
    errors = [one.exception(WAIT_SECONDS) for one in others]
    assert errors[0] is not errors[1]
    for error in errors:
        assert isinstance(error, AppError)
        assert error.kind is Kind.UNAVAILABLE
