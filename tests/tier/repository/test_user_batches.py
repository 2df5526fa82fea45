"""Users read several at once, and lists that take what they can from the cache."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import delete, update

from arcana.common.v1.paging_pb2 import PageRequest
from arcana.repository.v1 import user_pb2
from arcana.repository.v1 import user_repository_pb2 as messages
from repository_tier.tables import user_roles, users
from tests.stores import Store, TcpRelay
from tests.tier.repository.conftest import StartTier
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier, all_at_once, failure
from tier_runtime.errors import Kind
from tier_runtime.status import from_status

ACTIVE, SUSPENDED = user_pb2.USER_STATUS_ACTIVE, user_pb2.USER_STATUS_SUSPENDED
ROUNDS = 40


def batch(tier: RunningTier, *user_ids: str) -> list[user_pb2.User | str]:
    """Return who was found, or the code of what stood against it."""
    answer = tier.users.BatchGetUsers(messages.BatchGetUsersRequest(user_ids=user_ids))
    return [
        result.user if result.HasField("user") else from_status(result.error).code
        for result in answer.results
    ]


def listed(
    tier: RunningTier,
    status: user_pb2.UserStatus.ValueType = user_pb2.USER_STATUS_UNSPECIFIED,
    search: str = "",
) -> list[user_pb2.User]:
    request = messages.ListUsersRequest(
        filter=messages.UserFilter(status=status, search=search), page=PageRequest(page_size=50)
    )
    return list(tier.users.ListUsers(request).users)


@contextmanager
def again_and_again(work: Callable[[int], object]) -> Iterator[None]:
    """Do this in another thread until the block ends; what it raises comes out."""
    ended = threading.Event()

    def repeat() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            work(number)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(repeat)
        try:
            yield
        finally:
            ended.set()
            future.result(30)


def test_what_is_wrong_with_one_item_leaves_the_others_alone(
    tier: RunningTier, make: Requests
) -> None:
    ada = tier.users.CreateUser(make.user()).user
    assert batch(tier, "nonsense", ada.id.upper(), "", make.new_id(), ada.id) == [
        "VALIDATION_FAILED",
        ada,
        "VALIDATION_FAILED",
        "USER_NOT_FOUND",
        ada,
    ]


def test_a_batch_holds_what_the_cache_knows_and_what_only_the_database_does(
    start_tier: StartTier, make: Requests
) -> None:
    writer = start_tier()
    made = [writer.users.CreateUser(make.user()).user for _ in range(256)]
    # Another process, to which the embedded cache is not known.
    reader = start_tier()
    for user in made[::3]:
        reader.users.GetUser(messages.GetUserRequest(user_id=user.id))
    assert batch(reader, *(user.id for user in made)) == made
    assert batch(reader, *(user.id for user in reversed(made))) == made[::-1]


def test_a_batch_never_holds_what_is_older_than_a_finished_write(
    tier: RunningTier, make: Requests
) -> None:
    made = [tier.users.CreateUser(make.user()).user for _ in range(4)]
    written = {user.id: user.version for user in made}

    def write(number: int) -> None:
        user_id = made[number % 4].id
        changed = tier.users.UpdateUser(
            messages.UpdateUserRequest(user_id=user_id, name=f"{number}")
        )
        written[user_id] = changed.user.version

    with again_and_again(write):
        for _ in range(ROUNDS):
            least = dict(written)
            for found in batch(tier, *least):
                assert isinstance(found, user_pb2.User)
                assert found.version >= least[found.id]


def test_many_batches_at_once_all_find_everybody(warm_tier: RunningTier, make: Requests) -> None:
    made = [warm_tier.users.CreateUser(make.user()).user for _ in range(20)]
    unknown = make.new_id()
    ids = [user.id for user in made]
    answers = all_at_once(
        12, lambda number: batch(warm_tier, *ids[number:], unknown, *ids[:number])
    )
    for number, answer in enumerate(answers):
        assert answer == [*made[number:], "USER_NOT_FOUND", *made[:number]]


def test_a_list_shows_what_was_changed_behind_the_cache(tier: RunningTier, make: Requests) -> None:
    made = [tier.users.CreateUser(make.user(name=name)).user for name in ("Ada", "Bob", "Eve")]
    assert listed(tier) == made
    first = made[0].id
    tier.change(
        update(users).where(users.c.id == first).values(name="Grace", version=users.c.version + 1)
    )
    names = [(user.name, user.version) for user in listed(tier)]
    assert names == [("Grace", 2), ("Bob", 1), ("Eve", 1)]
    tier.change(delete(user_roles).where(user_roles.c.user_id == made[1].id))
    tier.change(delete(users).where(users.c.id == made[1].id))
    assert [user.name for user in listed(tier)] == ["Grace", "Eve"]


def test_a_list_of_those_whom_the_cache_does_not_know_is_whole(
    start_tier: StartTier, make: Requests
) -> None:
    writer = start_tier()
    made = [writer.users.CreateUser(make.user()).user for _ in range(5)]
    reader = start_tier()
    reader.users.GetUser(messages.GetUserRequest(user_id=made[2].id))
    assert listed(reader) == made
    # And from now on from the cache.
    assert listed(reader) == made


def test_a_list_holds_only_who_matches_however_fast_they_change(
    tier: RunningTier, make: Requests
) -> None:
    made = [tier.users.CreateUser(make.user()).user for _ in range(3)]

    def toggle(number: int) -> None:
        status = SUSPENDED if number % 2 else ACTIVE
        tier.users.UpdateUserStatus(
            messages.UpdateUserStatusRequest(user_id=made[number % 3].id, status=status)
        )

    with again_and_again(toggle):
        for _ in range(ROUNDS):
            assert {user.status for user in listed(tier, ACTIVE)} <= {ACTIVE}


@pytest.fixture
def redis_relay(real_store: Store) -> Iterator[TcpRelay]:
    with TcpRelay.to(real_store.redis_url) as relay:
        yield relay


@pytest.fixture
def database_relay(real_store: Store) -> Iterator[TcpRelay]:
    with TcpRelay.to(real_store.database_url) as relay:
        yield relay


@pytest.mark.parametrize("away", ["cut", "stall"])
def test_with_redis_away_batches_and_lists_go_on(
    redis_relay: TcpRelay, start_real_tier: StartTier, make: Requests, away: str
) -> None:
    tier = start_real_tier(redis_url=redis_relay.url, cache_timeout_seconds=0.1)
    # The store is shared with other tests.
    mark = make.new_id()
    made = [
        tier.users.CreateUser(make.user(email=f"{number}@{mark}.example.org")).user
        for number in range(3)
    ]
    ids = [user.id for user in made]
    getattr(redis_relay, away)()
    changed = tier.users.UpdateUser(messages.UpdateUserRequest(user_id=ids[0], name="Grace")).user
    assert batch(tier, *ids) == [changed, *made[1:]]
    known = {user.id: user for user in listed(tier, search=mark)}
    assert [known[user_id] for user_id in ids] == [changed, *made[1:]]
    redis_relay.restore()


def test_with_the_database_away_those_in_the_cache_are_still_found(
    database_relay: TcpRelay, start_real_tier: StartTier, make: Requests
) -> None:
    tier = start_real_tier(
        database_url=database_relay.url,
        database_connect_timeout_seconds=1,
        database_io_timeout_seconds=2.1,
    )
    ada = tier.users.CreateUser(make.user()).user
    database_relay.cut()
    assert batch(tier, make.new_id(), ada.id, "nonsense") == [
        "SERVICE_UNAVAILABLE",
        ada,
        "VALIDATION_FAILED",
    ]
    # When nothing is known it is the RPC that fails, as whoever watches over it should see.
    nothing_known = messages.BatchGetUsersRequest(user_ids=[make.new_id()])
    assert failure(tier.users.BatchGetUsers, nothing_known) == (
        Kind.UNAVAILABLE,
        "SERVICE_UNAVAILABLE",
    )
    database_relay.restore()
