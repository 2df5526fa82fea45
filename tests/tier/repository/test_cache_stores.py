"""What both stores of the cache must do alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from repository_tier.cache.entry import CacheError, CacheStore, Entry, TimedEntry
from repository_tier.cache.memory_store import MemoryStore
from repository_tier.cache.redis_store import RedisStore, connect_redis
from tests.stores import StoreKind, Stores, TcpRelay
from tests.stores.waiting import eventually
from tests.tier.repository.running_tier import all_at_once
from tier_runtime.clock import SystemClock

LONG = 60.0


@pytest.fixture
def cache_store(stores: Stores, store_kind: StoreKind) -> Iterator[CacheStore]:
    store: CacheStore
    if store_kind == "real":
        store = RedisStore(connect_redis(stores.redis_url("real"), 1.0, 64))
    else:
        store = MemoryStore(SystemClock(), max_entries=100)
    with closing(store):
        yield store


def test_an_entry_is_found_as_it_was_put(cache_store: CacheStore) -> None:
    assert cache_store.get("a") is None
    for entry in (Entry(1, b"\x00\xffbody"), Entry(2, b""), Entry(3, None)):
        assert cache_store.put("a", entry, LONG)
        assert cache_store.get("a") == entry
    assert cache_store.get("b") is None


def test_many_entries_are_found_as_they_were_put(cache_store: CacheStore) -> None:
    entries = {"a": Entry(1, b"\x00\xffbody"), "b": Entry(2, b""), "c": Entry(3, None)}
    cache_store.put("a", Entry(1, b"as before"), LONG)
    cache_store.put_many({key: TimedEntry(entry, LONG) for key, entry in entries.items()})
    assert cache_store.get_many(["c", "nothing", "a", "b"]) == entries
    assert cache_store.get_many(["nothing"]) == {}


def test_of_many_entries_only_the_newer_are_kept(cache_store: CacheStore) -> None:
    newer = {"a": Entry(5, b"newer"), "b": Entry(6, None)}
    for key, entry in newer.items():
        cache_store.put(key, entry, LONG)
    put = {"a": Entry(4, b"older"), "b": Entry(0, None), "c": Entry(1, b"one")}
    cache_store.put_many({key: TimedEntry(entry, LONG) for key, entry in put.items()})
    assert cache_store.get_many(["a", "b", "c"]) == {**newer, "c": put["c"]}


def test_of_many_entries_each_goes_when_its_own_time_is_over(cache_store: CacheStore) -> None:
    entry = Entry(1, b"one")
    cache_store.put_many({"a": TimedEntry(entry, 0.05), "b": TimedEntry(entry, LONG)})
    eventually(lambda: "a" not in cache_store.get_many(["a", "b"]), what="the end of the entry")
    assert cache_store.get_many(["a", "b"]) == {"b": entry}


def test_a_newer_entry_stays(cache_store: CacheStore) -> None:
    newer = Entry(10, b"newer")
    cache_store.put("a", newer, LONG)
    for older in (Entry(9, b"older"), Entry(0, None), Entry(2, None)):
        assert not cache_store.put("a", older, LONG)
        assert cache_store.get("a") == newer


def test_an_entry_of_the_same_version_may_be_put_again(cache_store: CacheStore) -> None:
    cache_store.put("a", Entry(1, b"one"), LONG)
    assert cache_store.put("a", Entry(1, b"one"), LONG)


def test_a_tombstone_hides_the_body(cache_store: CacheStore) -> None:
    cache_store.put("a", Entry(1, b"one"), LONG)
    assert cache_store.put("a", Entry(2, None), LONG)
    assert cache_store.get("a") == Entry(2, None)
    assert not cache_store.put("a", Entry(1, b"one"), LONG)


def test_an_entry_goes_when_its_time_is_over(cache_store: CacheStore) -> None:
    cache_store.put("a", Entry(5, b"five"), 0.05)
    cache_store.put("b", Entry(5, b"five"), LONG)
    eventually(lambda: cache_store.get("a") is None, what="the end of the entry")
    assert cache_store.get("b") is not None
    assert cache_store.put("a", Entry(1, b"one"), LONG)
    assert cache_store.get("a") == Entry(1, b"one")


def test_putting_again_begins_a_new_time(cache_store: CacheStore) -> None:
    cache_store.put("a", Entry(1, b"one"), LONG)
    cache_store.put("a", Entry(2, b"two"), 0.05)
    eventually(lambda: cache_store.get("a") is None, what="the end of the entry")


def test_of_racing_entries_the_newest_stays(cache_store: CacheStore) -> None:
    all_at_once(
        30,
        lambda number: cache_store.put("a", Entry(1 + number * 7 % 30, str(number).encode()), LONG),
    )
    found = cache_store.get("a")
    assert found is not None
    assert found.version == 30


def test_a_store_that_is_there_says_so(cache_store: CacheStore) -> None:
    cache_store.ping()


def test_the_embedded_store_drops_what_was_used_least_lately() -> None:
    store = MemoryStore(SystemClock(), max_entries=2)
    for key in ("a", "b"):
        store.put(key, Entry(1, b""), LONG)
    store.get("a")
    store.put("c", Entry(1, b""), LONG)
    assert [store.get(key) is not None for key in ("a", "b", "c")] == [True, False, True]


def test_redis_gone_or_silent_is_an_error_of_the_cache(redis_server_url: str) -> None:
    with (
        TcpRelay.to(f"{redis_server_url}/0") as relay,
        closing(RedisStore(connect_redis(relay.url, 0.1, 8))) as store,
    ):
        store.ping()
        for go_away in (relay.cut, relay.stall):
            go_away()
            with pytest.raises(CacheError):
                store.ping()
            with pytest.raises(CacheError):
                store.get("a")
            with pytest.raises(CacheError):
                store.put("a", Entry(1, b"one"), LONG)
            with pytest.raises(CacheError):
                store.get_many(["a"])
            with pytest.raises(CacheError):
                store.put_many({"a": TimedEntry(Entry(1, b"one"), LONG)})
            relay.restore()
            eventually(lambda: _answers(store), what="Redis")


def _answers(store: RedisStore) -> bool:
    try:
        store.ping()
    except CacheError:
        return False
    return True
