"""Users by id, as serialized messages, read through the cache. With it gone, reads go on."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from arcana.repository.v1 import user_pb2
from repository_tier.cache.entry import CacheError, CacheStore, Entry, TimedEntry
from repository_tier.cache.flights import Flights
from tier_runtime.breaker import Breaker, BreakerOpenError
from tier_runtime.deadline import Deadline

T = TypeVar("T")

# Reads those of these users from the database that there are.
Load = Callable[[Sequence[str]], Iterable[user_pb2.User]]

# Entries that could not be put; beyond it the oldest ones are left to their time to live.
MAX_UNSENT = 10_000


@dataclass(frozen=True, slots=True)
class CacheTimes:
    """How long entries live, in seconds."""

    present: float
    missing: float
    # Entries that were put at the same moment must not all go at the same moment.
    jitter_share: float = 0.1


class UserCache:
    """A cached user is at most as old as its time to live, and usually as new as its last write.

    Only the newest version stays: each entry carries the user's version, and an older one never
    replaces a newer one. What a writer could not put, because the store was away, is kept here
    and put before that user is next read from the store.
    """

    def __init__(
        self,
        store: CacheStore,
        breaker: Breaker,
        times: CacheTimes,
        random: Random,
        *,
        max_unsent: int = MAX_UNSENT,
    ) -> None:
        self._store = store
        self._breaker = breaker
        self._times = times
        self._random = random
        self._max_unsent = max_unsent
        self._flights: Flights[Entry] = Flights()
        self._lock = threading.Lock()
        self._unsent: OrderedDict[str, Entry] = OrderedDict()

    def get(self, user_id: str, load: Load, deadline: Deadline) -> bytes | None:
        """Return the user, from the cache or else by `load`; None when there is none."""
        key = _key(user_id)
        entry = self._asked([key], lambda: self._store.get(key))
        if entry is None:
            entry = self.load([user_id], load, deadline)[user_id]
        return entry.body

    def known(self, user_ids: Collection[str]) -> dict[str, Entry]:
        """Return what the cache holds of these users, in one round trip."""
        keys = [_key(user_id) for user_id in user_ids]
        found = self._asked(keys, lambda: self._store.get_many(keys)) or {}
        pairs = zip(user_ids, keys, strict=True)
        return {user_id: found[key] for user_id, key in pairs if key in found}

    def load(self, user_ids: Collection[str], load: Load, deadline: Deadline) -> dict[str, Entry]:
        """Return users that the cache does not hold, by `load`, and keep them.

        A user that another thread is loading is not loaded again. The ids differ from each other.
        """

        def load_and_keep(wanted: Sequence[str]) -> dict[str, Entry]:
            entries = dict.fromkeys(wanted, Entry(0, None))
            entries.update((user.id, _entry(user)) for user in load(wanted))
            self._keep(entries)
            return entries

        return self._flights.load(user_ids, load_and_keep, deadline)

    def put(self, user: user_pb2.User) -> None:
        """Keep a user that has just been written. Call it after the commit."""
        self._put_written(user.id, _entry(user))

    def put_deleted(self, user_id: str, version: int) -> None:
        """Keep that a user has just been deleted. Call it after the commit."""
        self._put_written(user_id, Entry(version, None))

    def is_up(self) -> bool:
        """True when the store answers; puts what is unsent. For the health board."""
        try:
            self._store.ping()
            with self._lock:
                unsent = list(self._unsent.items())
            for key, entry in unsent:
                self._send(key, entry)
        except (CacheError, BreakerOpenError):
            return False
        return True

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _asked(self, keys: Sequence[str], ask: Callable[[], T]) -> T | None:
        """Return what the store has, once it has all that it missed of these keys."""
        unsent = []
        with self._lock:
            if self._unsent:
                unsent = [(key, self._unsent[key]) for key in keys if key in self._unsent]
        try:
            for key, entry in unsent:
                self._send(key, entry)
            with self._breaker.guard(CacheError):
                return ask()
        except (CacheError, BreakerOpenError):
            return None

    def _keep(self, entries: Mapping[str, Entry]) -> None:
        # A reader's put: if it does not arrive, nothing is lost.
        timed = {
            _key(user_id): TimedEntry(entry, self._ttl(entry)) for user_id, entry in entries.items()
        }
        try:
            with self._breaker.guard(CacheError):
                self._store.put_many(timed)
        except (CacheError, BreakerOpenError):
            return

    def _put_written(self, user_id: str, entry: Entry) -> None:
        key = _key(user_id)
        # Whoever comes after the write must not join a loading that began before it.
        self._flights.forget(user_id)
        with self._lock:
            known = self._unsent.get(key)
            if known is None or known.version < entry.version:
                self._unsent[key] = entry
            if len(self._unsent) > self._max_unsent:
                self._unsent.popitem(last=False)
        try:
            self._send(key, entry)
        except (CacheError, BreakerOpenError):
            return

    def _send(self, key: str, entry: Entry) -> None:
        with self._breaker.guard(CacheError):
            self._store.put(key, entry, self._ttl(entry))
        with self._lock:
            known = self._unsent.get(key)
            if known is not None and known.version <= entry.version:
                del self._unsent[key]

    def _ttl(self, entry: Entry) -> float:
        # A tombstone must outlive the slowest reader that still holds the user.
        is_guess = entry.body is None and entry.version == 0
        seconds = self._times.missing if is_guess else self._times.present
        return seconds * (1 - self._random.uniform(0, self._times.jitter_share))


def _key(user_id: str) -> str:
    return f"user:{user_id}"


def _entry(user: user_pb2.User) -> Entry:
    return Entry(user.version, user.SerializeToString())
