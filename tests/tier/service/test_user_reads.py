"""Reads of users at the same time, over real hops."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from arcana.service.v1 import user_pb2
from arcana.service.v1 import user_service_pb2 as pb
from tests.fakes.repository import FakeRepository
from tests.tier.service.running import (
    SYSTEM,
    RunningService,
    fake_repository_server,
    service_on,
)
from tier_runtime.call import Actor
from tier_runtime.errors import AppError
from tier_runtime.logs import configure_logging
from tier_runtime.metadata import actor_to_proto
from tier_runtime.status import from_status

CALLERS, ROUNDS = 24, 15
UNKNOWN = "019aa000-0000-7000-8000-000000000001"
WAIT_SECONDS = 10.0


@pytest.fixture
def on_fake(fake: FakeRepository, tmp_path: Path) -> Iterator[RunningService]:
    """The service tier on a fake repository tier, which stands still while its lock is held."""
    with fake_repository_server(fake) as url, service_on(url, tmp_path) as running:
        yield running


def read(service: RunningService, user_id: str, actor: Actor = SYSTEM) -> user_pb2.User:
    with service.acting(actor):
        return service.users.GetUser(pb.GetUserRequest(user_id=user_id)).user


def test_each_of_many_readers_gets_its_own_answer(service: RunningService) -> None:
    made = [service.create(f"user{number}@example.org") for number in range(8)]
    strangers = Actor(made[0].id, frozenset({"user"}))
    together = threading.Barrier(CALLERS)

    def reader(number: int) -> None:
        together.wait(WAIT_SECONDS)
        for step in range(ROUNDS):
            user = made[(number + step) % len(made)]
            assert read(service, user.id) == user
            with pytest.raises(AppError, match="USER_NOT_FOUND"):
                read(service, UNKNOWN)
            with pytest.raises(AppError, match="FORBIDDEN"):
                read(service, made[1].id, strangers)

    with ThreadPoolExecutor(CALLERS) as pool:
        assert list(pool.map(reader, range(CALLERS))) == [None] * CALLERS


def test_a_reader_sees_what_was_written_before_it_asked(service: RunningService) -> None:
    user = service.create("ada@example.org")
    written = [user.version]
    ended = threading.Event()

    def readers() -> None:
        while not ended.is_set():
            least = written[-1]
            assert read(service, user.id).version >= least

    with ThreadPoolExecutor(6) as pool:
        reading = [pool.submit(readers) for _ in range(6)]
        for number in range(ROUNDS):
            with service.acting(SYSTEM):
                request = pb.UpdateUserRequest(user_id=user.id, name=f"Name {number}")
                written.append(service.users.UpdateUser(request).user.version)
        ended.set()
        assert [each.result(WAIT_SECONDS) for each in reading] == [None] * 6


def test_a_reader_that_leaves_or_is_late_disturbs_nobody(
    on_fake: RunningService, fake: FakeRepository
) -> None:
    ada, bob = on_fake.create("ada@example.org"), on_fake.create("bob@example.org")
    get = on_fake.users.GetUser
    with on_fake.acting(SYSTEM), fake.state.lock:
        # It leads, and the others wait for it or for a second RPC, which stands still as well.
        leaving = get.future(pb.GetUserRequest(user_id=ada.id))
        late = get.future(pb.GetUserRequest(user_id=ada.id), timeout=0.2)
        patient = [get.future(pb.GetUserRequest(user_id=one.id)) for one in (ada, bob)]
        with pytest.raises(AppError, match="DEADLINE_EXCEEDED"):
            late.result(WAIT_SECONDS)
        assert leaving.cancel()
    assert [one.result(WAIT_SECONDS).user for one in patient] == [ada, bob]
    with pytest.raises(grpc.FutureCancelledError):
        leaving.result(WAIT_SECONDS)


def test_what_is_passed_on_in_bytes_is_what_the_contract_says(service: RunningService) -> None:
    made = [service.create(f"user{number}@example.org", "user", "admin") for number in range(3)]
    with service.acting(SYSTEM):
        listed = service.users.ListUsers(pb.ListUsersRequest())
        streamed = [one.user for one in service.users.StreamUsers(pb.StreamUsersRequest())]
    assert list(listed.users) == streamed == made
    assert listed.page.total == 3


@pytest.fixture
def lines() -> io.StringIO:
    """What is logged."""
    written = io.StringIO()
    configure_logging("service", "info", written)
    return written


def test_a_batch_over_the_wire_tells_whom_it_is_for(
    on_fake: RunningService, lines: io.StringIO
) -> None:
    ada = on_fake.create("ada@example.org")
    own = Actor(ada.id, frozenset({"user"}))
    items = [
        pb.BatchGetUsersItem(actor=actor_to_proto(actor, f"r-{number}"), user_id=ada.id)
        for number, actor in enumerate([own, SYSTEM, own, Actor("else", frozenset({"user"}))])
    ]
    answer = on_fake.users.BatchGetUsers(pb.BatchGetUsersRequest(items=items))
    assert [result.user for result in answer.results[:3]] == [ada] * 3
    assert from_status(answer.results[3].error).code == "FORBIDDEN"
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    (line,) = [
        one for one in told if one.get("method") == "/arcana.service.v1.UserService/BatchGetUsers"
    ]
    assert (line["items"], line["actors"]) == (4, [ada.id, "system", "else"])
    assert line["request_ids"] == ["r-0", "r-1", "r-2", "r-3"]
