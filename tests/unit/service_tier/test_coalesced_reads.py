from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from arcana.repository.v1 import product_repository_pb2, user_repository_pb2
from service_tier.product_reads import ProductReads
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

    def __init__(self, kind: str, max_batch: int = 64) -> None:
        self.kind = kind
        self.repository = FakeRepository(FakeClock())
        self.channel = self.repository.channel()
        self.single, self.batch = f"Get{kind}", f"BatchGet{kind}s"
        self.channel.before = {self.single: self._stand_still, self.batch: self._stand_still}
        # Nobody is so slow here that a second RPC would leave beside the first.
        reads = UserReads if kind == "User" else ProductReads
        self.reads = reads(self.channel, max_batch=max_batch, patience_seconds=3600)
        self.asked: list[Any] = []
        self._may_answer = threading.Semaphore(0)
        self._pool = ThreadPoolExecutor(8)

    def _stand_still(self, request: Any) -> None:
        self.asked.append(request)
        assert self._may_answer.acquire(timeout=WAIT_SECONDS)

    def make(self, name: str) -> str:
        """Return the id of a thing of this name."""
        state = self.repository.state
        new_id = state.ids.new_id()
        with state.lock:
            if self.kind == "User":
                self.repository.users._created(
                    user_repository_pb2.CreateUserRequest(
                        user_id=new_id, email=f"{name}@example.org", name=name, roles=["user"]
                    )
                )
            else:
                self.repository.products._created(
                    product_repository_pb2.CreateProductRequest(product_id=new_id, name=name)
                )
        return new_id

    def read(self, thing_id: str, request_id: str) -> Future[str]:
        """Read a thing's name in a thread of its own."""
        call = Call(Actor("u-1"), request_id, Deadline.after(WAIT_SECONDS))

        def get() -> str:
            with call_scope(call):
                answer = self.reads.get(call, thing_id)
            if self.kind == "User":
                return user_repository_pb2.GetUserResponse.FromString(answer).user.name
            return product_repository_pb2.GetProductResponse.FromString(answer).product.name

        return self._pool.submit(get)

    def wait_until_asked(self, count: int) -> None:
        eventually(lambda: len(self.asked) == count, what="the RPC")

    def wait_until_gathered(self, count: int) -> None:
        slots = self.reads._single._coalescer._gathering
        eventually(
            lambda: sum(len(slot.waiters) for slot in list(slots.values())) == count,
            what="the callers",
        )

    def answer(self, count: int = 1) -> None:
        self._may_answer.release(count)

    def close(self) -> None:
        self._pool.shutdown()


@pytest.fixture(params=["User", "Product"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def readers(kind: str) -> Iterator[Readers]:
    made = Readers(kind)
    yield made
    made.close()


def test_a_lone_read_is_the_single_rpc(readers: Readers) -> None:
    ada = readers.make("ada")
    readers.answer(2)
    assert readers.read(ada, "r-1").result(WAIT_SECONDS) == "ada"
    with pytest.raises(AppError, match="_NOT_FOUND"):
        readers.read(UNKNOWN, "r-2").result(WAIT_SECONDS)
    assert readers.channel.calls == [readers.single] * 2


def test_reads_at_the_same_time_go_on_as_one_and_each_gets_its_own_answer(
    readers: Readers,
) -> None:
    ada, bob = readers.make("ada"), readers.make("bob")
    first = readers.read(ada, "r-1")
    readers.wait_until_asked(1)
    others = []
    for number, wanted in enumerate((bob, UNKNOWN, ada, bob), 2):
        others.append(readers.read(wanted, f"r-{number}"))
        readers.wait_until_gathered(number - 1)
    readers.answer(2)
    assert first.result(WAIT_SECONDS) == "ada"
    with pytest.raises(AppError, match="_NOT_FOUND"):
        others.pop(1).result(WAIT_SECONDS)
    assert [one.result(WAIT_SECONDS) for one in others] == ["bob", "ada", "bob"]
    assert readers.channel.calls == [readers.single, readers.batch]
    request = readers.asked[1]
    assert list(getattr(request, f"{readers.kind.lower()}_ids")) == [bob, UNKNOWN, ada]
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
    assert [one.result(WAIT_SECONDS) for one in reads] == ["ada"] * 3
    assert list(readers.asked[1].request_ids) == ["r-2", "r-3"]


def test_with_a_batch_of_one_each_read_is_an_rpc_of_its_own(kind: str) -> None:
    readers = Readers(kind, max_batch=1)
    ada = readers.make("ada")
    reads = [readers.read(ada, f"r-{number}") for number in range(4)]
    readers.wait_until_asked(4)
    readers.answer(4)
    assert [one.result(WAIT_SECONDS) for one in reads] == ["ada"] * 4
    assert readers.channel.calls == [readers.single] * 4
    readers.close()


def test_when_the_repository_tier_is_away_each_reader_is_told(readers: Readers) -> None:
    def away(request: Any) -> None:
        readers._stand_still(request)
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    readers.channel.before[readers.batch] = away
    ada = readers.make("ada")
    first = readers.read(ada, "r-1")
    readers.wait_until_asked(1)
    others = []
    for number in (2, 3):
        others.append(readers.read(f"{number}", f"r-{number}"))
        readers.wait_until_gathered(number - 1)
    readers.answer(2)
    assert first.result(WAIT_SECONDS) == "ada"
    errors = [one.exception(WAIT_SECONDS) for one in others]
    assert errors[0] is not errors[1]
    for error in errors:
        assert isinstance(error, AppError)
        assert error.kind is Kind.UNAVAILABLE
