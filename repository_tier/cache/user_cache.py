"""Users by id, read through the cache. With the cache gone, reads go on."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from arcana.repository.v1 import user_pb2
from repository_tier.cache.breaker import Breaker, BreakerOpenError
from repository_tier.cache.entry import CacheError, CacheStore, Entry
from repository_tier.cache.flights import Flights
from tier_runtime.deadline import Deadline

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
        self._flights: Flights[user_pb2.User | None] = Flights()
        self._lock = threading.Lock()
        self._unsent: OrderedDict[str, Entry] = OrderedDict()

    def get(
        self, user_id: str, load: Callable[[], user_pb2.User | None], deadline: Deadline
    ) -> user_pb2.User | None:
        """Return the user, from the cache or else by `load`; None when there is none."""
        key = _key(user_id)
        entry = self._find(key)
        if entry is not None:
            return None if entry.body is None else user_pb2.User.FromString(entry.body)

        def load_and_keep() -> user_pb2.User | None:
            user = load()
            self._keep(key, Entry(0, None) if user is None else _entry(user))
            return user

        return self._flights.load(key, load_and_keep, deadline)

    def put(self, user: user_pb2.User) -> None:
        """Keep a user that has just been written. Call it after the commit."""
        self._put_written(_key(user.id), _entry(user))

    def put_deleted(self, user_id: str, version: int) -> None:
        """Keep that a user has just been deleted. Call it after the commit."""
        self._put_written(_key(user_id), Entry(version, None))

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

    def _find(self, key: str) -> Entry | None:
        with self._lock:
            unsent = self._unsent.get(key)
        try:
            if unsent is not None:
                self._send(key, unsent)
            with self._breaker.guard(CacheError):
                return self._store.get(key)
        except (CacheError, BreakerOpenError):
            return None

    def _keep(self, key: str, entry: Entry) -> None:
        # A reader's put: if it does not arrive, nothing is lost.
        try:
            with self._breaker.guard(CacheError):
                self._store.put(key, entry, self._ttl(entry))
        except (CacheError, BreakerOpenError):
            return

    def _put_written(self, key: str, entry: Entry) -> None:
        # Whoever comes after the write must not join a loading that began before it.
        self._flights.forget(key)
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
