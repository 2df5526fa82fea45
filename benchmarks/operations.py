"""What a caller of the repository tier does, one call at a time, and checks about the answer."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import user_repository_pb2 as messages
from arcana.repository.v1.user_repository_pb2_grpc import UserRepositoryStub
from benchmarks.people import Person, event, new_user
from benchmarks.plan import (
    CREATE,
    GET_BY_EMAIL,
    GET_BY_ID,
    LIST_20,
    LIST_50,
    LIST_100,
    UPDATE,
)
from benchmarks.worker import BenchmarkError
from tier_runtime.ids import Uuid7Source

Call = Callable[[], None]
PAGE_SIZES = {LIST_20: 20, LIST_50: 50, LIST_100: 100}
# What a hash of a real password looks like; nobody signs in with it.
_PASSWORD_HASH = f"scrypt:131072:8:1${'a' * 16}${'0' * 128}"


class Reads(Protocol):
    """How a caller reads: by typed messages, or as the service tier does."""

    def get(self, user_id: str) -> None:
        """Read one user; raise when it is not that one."""
        ...

    def list(self, request: messages.ListUsersRequest, size: int) -> None:
        """Read a page; raise when it has not as many users."""
        ...


class TypedReads:
    """Every answer becomes a message."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = UserRepositoryStub(channel)

    def get(self, user_id: str) -> None:
        """Read one user by a call of its own."""
        answer = self._stub.GetUser(messages.GetUserRequest(user_id=user_id))
        if answer.user.id != user_id:
            raise BenchmarkError(f"asked for {user_id}, got {answer.user.id}")

    def list(self, request: messages.ListUsersRequest, size: int) -> None:
        """Read a page."""
        answer = self._stub.ListUsers(request)
        if len(answer.users) != size:
            raise BenchmarkError(f"asked for {size} users, got {len(answer.users)}")


@dataclass(frozen=True, slots=True)
class Operations:
    """Makes the calls of an operation, for one thread of the caller each.

    Attributes:
        people: who is in the store; each thread has its share of them.
    """

    channel: grpc.Channel
    reads: Reads
    people: Sequence[Person]

    def preheat(self) -> None:
        """Read everybody once: what is compared are warm caches."""
        stub = UserRepositoryStub(self.channel)
        for person in self.people:
            stub.GetUser(messages.GetUserRequest(user_id=person.user_id))

    def call(self, operation: str, thread: int, threads: int) -> Call:
        """Return what makes one call of an operation.

        Raises:
            BenchmarkError: there is no such operation.
        """
        # A share of its own: two threads never ask for the same at the same time, which coalescing
        # would answer by one read, and never wait for each other's row.
        share = self.people[thread::threads]
        dice = random.Random(f"{operation} {thread}")  # noqa: S311 - an order, no secret.
        shuffled = dice.sample(share, len(share))
        if operation == GET_BY_ID:
            return self._get_by_id(itertools.cycle(person.user_id for person in shuffled))
        if operation == GET_BY_EMAIL:
            return self._get_by_email(itertools.cycle(shuffled))
        if operation in PAGE_SIZES:
            return self._list(PAGE_SIZES[operation])
        if operation == CREATE:
            return self._create()
        if operation == UPDATE:
            return self._update(itertools.cycle(shuffled))
        raise BenchmarkError(f"no such operation: {operation}")

    def _get_by_id(self, user_ids: Iterator[str]) -> Call:
        get = self.reads.get
        return lambda: get(next(user_ids))

    def _get_by_email(self, people: Iterator[Person]) -> Call:
        stub = UserRepositoryStub(self.channel)

        def call() -> None:
            person = next(people)
            answer = stub.GetCredentials(messages.GetCredentialsRequest(email=person.email))
            if answer.user.id != person.user_id:
                raise BenchmarkError(f"asked for {person.email}, got {answer.user.email}")

        return call

    def _list(self, size: int) -> Call:
        # The first page, as most lists are asked for: the oldest users, whom no new one moves.
        request = messages.ListUsersRequest(page=paging_pb2.PageRequest(page_size=size))
        read = self.reads.list
        return lambda: read(request, size)

    def _create(self) -> Call:
        stub, ids = UserRepositoryStub(self.channel), Uuid7Source()

        def call() -> None:
            user_id = ids.new_id()
            person = Person(user_id, f"{user_id}@made.example")
            answer = stub.CreateUser(new_user(person, "Made On The Way", _PASSWORD_HASH, ["user"]))
            if answer.user.id != user_id:
                raise BenchmarkError(f"made {user_id}, got {answer.user.id}")

        return call

    def _update(self, people: Iterator[Person]) -> Call:
        stub = UserRepositoryStub(self.channel)
        numbers = itertools.count()

        def call() -> None:
            user_id = next(people).user_id
            name = f"Person Renamed {next(numbers)}"
            answer = stub.UpdateUser(
                messages.UpdateUserRequest(
                    user_id=user_id, name=name, events=[event("user.updated", user_id)]
                )
            )
            if answer.user.name != name:
                raise BenchmarkError(f"renamed {user_id} to {name}, got {answer.user.name}")

        return call
