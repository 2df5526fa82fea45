from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

import pytest

from arcana.repository.v1.user_pb2 import User
from repository_tier.cache.entry import CacheError, Entry, TimedEntry
from repository_tier.cache.memory_store import MemoryStore
from repository_tier.cache.message_cache import CacheTimes, MessageCache
from tests.fakes.clock import FakeClock
from tier_runtime.breaker import Breaker
from tier_runtime.deadline import Deadline

ID = "01920000-0000-7000-8000-000000000000"
TIMES = CacheTimes(present=300.0, missing=5.0)


def user(version: int) -> User:
    return User(id=ID, name=f"version {version}", version=version)


def decoded(body: bytes | None) -> User | None:
    return None if body is None else User.FromString(body)


class FlakyStore(MemoryStore):
    """A store that a test can take away."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock, max_entries=100)
        self.is_away = False
        self.asked = 0

    def get(self, key: str) -> Entry | None:
        self._ask()
        return super().get(key)

    def put(self, key: str, entry: Entry, ttl_seconds: float) -> bool:
        self._ask()
        return super().put(key, entry, ttl_seconds)

    def get_many(self, keys: Sequence[str]) -> Mapping[str, Entry]:
        self._ask()
        return super().get_many(keys)

    def put_many(self, entries: Mapping[str, TimedEntry]) -> None:
        self._ask()
        super().put_many(entries)

    def ping(self) -> None:
        self._ask()

    def _ask(self) -> None:
        self.asked += 1
        if self.is_away:
            raise CacheError


class World:
    """A cache in front of a database that counts its loads."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = FlakyStore(self.clock)
        breaker = Breaker(self.clock, 3, 1.0)
        self.cache: MessageCache[User] = MessageCache("user", self.store, breaker, TIMES, Random(1))
        self.stored: User | None = user(1)
        self.loads = 0
        self.loaded: list[str] = []

    def load(self, user_ids: Sequence[str]) -> list[User]:
        self.loads += 1
        self.loaded += user_ids
        stored = [] if self.stored is None else [self.stored]
        return [user for user in stored if user.id in user_ids]

    def read(self) -> User | None:
        return decoded(self.cache.get(ID, self.load, Deadline.after(5)))

    def write(self, version: int) -> None:
        self.stored = user(version)
        self.cache.put(self.stored)


@pytest.fixture
def world() -> World:
    return World()


def test_a_user_is_loaded_once(world: World) -> None:
    assert [world.read() for _ in range(3)] == [user(1)] * 3
    assert world.loads == 1


def test_a_missing_user_is_known_as_missing_for_a_short_time(world: World) -> None:
    world.stored = None
    assert [world.read() for _ in range(3)] == [None] * 3
    assert world.loads == 1
    world.clock.advance(5)
    assert world.read() is None
    assert world.loads == 2


def test_a_user_who_was_known_as_missing_is_found_when_made(world: World) -> None:
    world.stored = None
    assert world.read() is None
    world.write(1)
    assert world.read() == user(1)


def test_what_was_written_is_read_without_loading(world: World) -> None:
    world.write(2)
    assert world.read() == user(2)
    assert world.loads == 0


def test_an_entry_goes_a_little_before_its_longest_time(world: World) -> None:
    world.read()
    world.clock.advance(TIMES.present * 0.89)
    world.read()
    assert world.loads == 1
    world.clock.advance(TIMES.present * 0.11)
    world.read()
    assert world.loads == 2


def test_a_slow_reader_does_not_undo_a_write(world: World) -> None:
    # The reader misses and reads version 1; before it stores that, a writer commits version 2.
    def slow(user_ids: Sequence[str]) -> list[User]:
        found = world.load(user_ids)
        world.write(2)
        return found

    assert decoded(world.cache.get(ID, slow, Deadline.after(5))) == user(1)
    assert world.read() == user(2)
    assert world.loads == 1


def test_a_slow_reader_does_not_raise_the_dead(world: World) -> None:
    def slow(user_ids: Sequence[str]) -> list[User]:
        found = world.load(user_ids)
        world.stored = None
        world.cache.put_deleted(ID, 2)
        return found

    assert decoded(world.cache.get(ID, slow, Deadline.after(5))) == user(1)
    assert world.read() is None
    assert world.loads == 1


def test_without_the_store_each_read_loads(world: World) -> None:
    world.store.is_away = True
    assert [world.read() for _ in range(3)] == [user(1)] * 3
    assert world.loads == 3


def test_a_store_that_is_away_is_left_alone_after_a_while(world: World) -> None:
    world.store.is_away = True
    for _ in range(10):
        world.read()
    assert world.store.asked == 3


def test_a_write_that_did_not_reach_the_store_is_not_lost_when_it_is_back(world: World) -> None:
    world.read()
    world.store.is_away = True
    world.write(2)
    assert world.read() == user(2)
    world.store.is_away = False
    world.clock.advance(1)
    loads = world.loads
    assert world.read() == user(2)
    assert world.loads == loads


def test_a_deletion_that_did_not_reach_the_store_is_not_lost(world: World) -> None:
    world.read()
    world.store.is_away = True
    world.stored = None
    world.cache.put_deleted(ID, 2)
    world.store.is_away = False
    assert world.read() is None


def test_of_two_writes_that_did_not_reach_the_store_the_newer_is_sent(world: World) -> None:
    world.store.is_away = True
    world.write(3)
    world.cache.put(user(2))
    world.store.is_away = False
    assert world.cache.is_up()
    assert world.read() == user(3)
    assert world.loads == 0


def test_the_health_check_sends_what_is_unsent(world: World) -> None:
    world.store.is_away = True
    world.write(2)
    assert not world.cache.is_up()
    world.store.is_away = False
    assert world.cache.is_up()
    asked = world.store.asked
    assert world.read() == user(2)
    # One question, nothing more to send.
    assert world.store.asked == asked + 1


def test_the_health_check_is_patient_while_the_breaker_is_open(world: World) -> None:
    world.store.is_away = True
    for version in range(2, 6):
        world.write(version)
    world.store.is_away = False
    assert not world.cache.is_up()
    world.clock.advance(1)
    assert world.cache.is_up()


def test_what_is_unsent_is_bounded() -> None:
    world = World()
    cache: MessageCache[User] = MessageCache(
        "user", world.store, Breaker(world.clock, 1, 9.0), TIMES, Random(1), max_unsent=2
    )
    world.store.is_away = True
    for number in range(5):
        cache.put(User(id=f"{number}", version=1))
    world.store.is_away = False
    world.clock.advance(9)
    assert cache.is_up()
    kept = [world.store.get(f"user:{number}") is not None for number in range(5)]
    assert kept == [False, False, False, True, True]


def test_of_many_only_those_that_are_not_known_are_loaded(world: World) -> None:
    world.cache.put(User(id="known", version=3))
    world.cache.put_deleted("gone", 7)
    known = world.cache.known(["known", ID, "gone", "never"])
    assert {user_id: entry.version for user_id, entry in known.items()} == {"known": 3, "gone": 7}
    loaded = world.cache.load([ID, "never"], world.load, Deadline.after(5))
    assert (decoded(loaded[ID].body), loaded["never"].body) == (user(1), None)
    assert (world.loads, world.loaded) == (1, [ID, "never"])
    assert world.cache.known(["never", ID]) == loaded


def test_many_are_asked_for_and_kept_in_one_round_trip_each(world: World) -> None:
    user_ids = [f"{number}" for number in range(50)]
    world.cache.known(user_ids)
    world.cache.load(user_ids, world.load, Deadline.after(5))
    assert world.store.asked == 2


def test_without_the_store_nothing_of_many_is_known(world: World) -> None:
    world.read()
    world.store.is_away = True
    assert world.cache.known([ID, "other"]) == {}


def test_of_many_none_is_older_than_what_was_written_while_the_store_was_away(
    world: World,
) -> None:
    world.read()
    world.store.is_away = True
    world.write(2)
    assert world.cache.known([ID]) == {}
    world.store.is_away = False
    known = world.cache.known(["other", ID])
    assert [decoded(entry.body) for entry in known.values()] == [user(2)]


def test_a_slow_reader_of_many_does_not_undo_a_write(world: World) -> None:
    def slow(user_ids: Sequence[str]) -> list[User]:
        found = world.load(user_ids)
        world.write(2)
        return found

    loaded = world.cache.load([ID, "other"], slow, Deadline.after(5))
    assert decoded(loaded[ID].body) == user(1)
    assert world.read() == user(2)
