"""The embedded cache: in this process, bounded, with the behaviour of the one over Redis."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repository_tier.cache.entry import Entry, TimedEntry
from tier_runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class _Kept:
    entry: Entry
    until: float


class MemoryStore:
    """Implements CacheStore. When it is full, what was used least lately goes."""

    def __init__(self, clock: Clock, max_entries: int) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def get(self, key: str) -> Entry | None:
        """Return the entry, if there is one whose time is not over."""
        with self._lock:
            return self._living(key, self._clock.monotonic())

    def get_many(self, keys: Sequence[str]) -> Mapping[str, Entry]:
        """Return what `get` finds for each key."""
        found = {}
        now = self._clock.monotonic()
        with self._lock:
            for key in keys:
                entry = self._living(key, now)
                if entry is not None:
                    found[key] = entry
        return found

    def put(self, key: str, entry: Entry, ttl_seconds: float) -> bool:
        """Keep the entry unless there is a newer one; return whether it was kept."""
        with self._lock:
            return self._put(key, entry, ttl_seconds)

    def put_many(self, entries: Mapping[str, TimedEntry]) -> None:
        """Do what `put` does for each entry."""
        with self._lock:
            for key, timed in entries.items():
                self._put(key, timed.entry, timed.ttl_seconds)

    def ping(self) -> None:
        """Do nothing: this store is always there."""

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()

    def _put(self, key: str, entry: Entry, ttl_seconds: float) -> bool:
        now = self._clock.monotonic()
        old = self._living(key, now)
        if old is not None and old.version > entry.version:
            return False
        self._kept[key] = _Kept(entry, now + ttl_seconds)
        self._kept.move_to_end(key)
        if len(self._kept) > self._max_entries:
            self._kept.popitem(last=False)
        return True

    def _living(self, key: str, now: float) -> Entry | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.until <= now:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return kept.entry
