"""Things by id, as serialized messages, read through the cache. With it gone, reads go on."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Generic, Protocol, TypeVar

from repository_tier.cache.entry import CacheError, CacheStore, Entry, TimedEntry
from repository_tier.cache.flights import Flights
from repository_tier.metrics import CacheMeter
from tier_runtime.breaker import Breaker, BreakerOpenError
from tier_runtime.deadline import Deadline

T = TypeVar("T")


class Versioned(Protocol):
    """A message that has an id, and a version that grows with every change."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def version(self) -> int:
        """Its version, from 1."""
        ...

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Return it as it is kept and sent."""
        ...


MessageT = TypeVar("MessageT", bound=Versioned)

# Reads those of these ids from the database that there are.
Load = Callable[[Sequence[str]], Iterable[MessageT]]

# Entries that could not be put; beyond it the oldest ones are left to their time to live.
MAX_UNSENT = 10_000


@dataclass(frozen=True, slots=True)
class CacheTimes:
    """How long entries live, in seconds."""

    present: float
    missing: float
    # Entries that were put at the same moment must not all go at the same moment.
    jitter_share: float = 0.1


class MessageCache(Generic[MessageT]):
    """A cached message is at most as old as its time to live, and usually as new as its last write.

    Only the newest version stays: each entry carries the message's version, and an older one never
    replaces a newer one. What a writer could not put, because the store was away, is kept here
    and put before that message is next read from the store. Caches of different kinds of things
    share a store under different prefixes, such as `user`.
    """

    def __init__(
        self,
        prefix: str,
        store: CacheStore,
        breaker: Breaker,
        times: CacheTimes,
        random: Random,
        *,
        max_unsent: int = MAX_UNSENT,
        meter: CacheMeter | None = None,
    ) -> None:
        self._prefix = prefix
        self._store = store
        self._breaker = breaker
        self._times = times
        self._random = random
        self._max_unsent = max_unsent
        self._meter = meter
        self._flights: Flights[Entry] = Flights()
        self._lock = threading.Lock()
        self._unsent: OrderedDict[str, Entry] = OrderedDict()

    def get(self, id_: str, load: Load[MessageT], deadline: Deadline) -> bytes | None:
        """Return the message, from the cache or else by `load`; None when there is none."""
        key = self._key(id_)
        entry = self._asked([key], lambda: self._store.get(key))
        if entry is None:
            entry = self.load([id_], load, deadline)[id_]
        return entry.body

    def known(self, ids: Collection[str]) -> dict[str, Entry]:
        """Return what the cache holds of these ids, in one round trip."""
        keys = [self._key(id_) for id_ in ids]
        found = self._asked(keys, lambda: self._store.get_many(keys)) or {}
        pairs = zip(ids, keys, strict=True)
        return {id_: found[key] for id_, key in pairs if key in found}

    def load(
        self, ids: Collection[str], load: Load[MessageT], deadline: Deadline
    ) -> dict[str, Entry]:
        """Return what the cache does not hold, by `load`, and keep it.

        What another thread is loading is not loaded again. The ids differ from each other.
        """
        return self._flights.load(ids, lambda wanted: self.load_anew(wanted, load), deadline)

    def load_anew(self, ids: Sequence[str], load: Load[MessageT]) -> dict[str, Entry]:
        """Return what `load` finds now, whatever the cache holds, and keep it.

        So a cache that missed a write, because the writer died between its commit and its put, has
        it again as soon as somebody asks what the database holds.
        """
        entries = dict.fromkeys(ids, Entry(0, None))
        entries.update((message.id, _entry(message)) for message in load(ids))
        self._keep(entries)
        return entries

    def put(self, message: MessageT) -> None:
        """Keep what has just been written. Call it after the commit."""
        self._put_written({message.id: _entry(message)})

    def put_many(self, messages: Iterable[MessageT]) -> None:
        """Keep all that has just been written, in one round trip. Call it after the commit."""
        self._put_written({message.id: _entry(message) for message in messages})

    def put_deleted(self, id_: str, version: int) -> None:
        """Keep that something has just been deleted. Call it after the commit."""
        self._put_written({id_: Entry(version, None)})

    def is_up(self) -> bool:
        """True when the store answers; puts what is unsent. For the health board."""
        try:
            self._store.ping()
            with self._lock:
                unsent = dict(self._unsent)
            self._send(unsent)
        except (CacheError, BreakerOpenError):
            return False
        return True

    def _asked(self, keys: Sequence[str], ask: Callable[[], T]) -> T | None:
        """Return what the store has, once it has all that it missed of these keys."""
        unsent = {}
        with self._lock:
            if self._unsent:
                unsent = {key: self._unsent[key] for key in keys if key in self._unsent}
        try:
            self._send(unsent)
            with self._breaker.guard(CacheError):
                answer = ask()
        except (CacheError, BreakerOpenError):
            if self._meter is not None:
                self._meter.failed(len(keys))
            return None
        if self._meter is not None:
            found = len(answer) if isinstance(answer, dict) else int(answer is not None)
            self._meter.answered(len(keys), found)
        return answer

    def _keep(self, entries: Mapping[str, Entry]) -> None:
        # A reader's put: if it does not arrive, nothing is lost.
        timed = {self._key(id_): self._timed(entry) for id_, entry in entries.items()}
        try:
            with self._breaker.guard(CacheError):
                self._store.put_many(timed)
        except (CacheError, BreakerOpenError):
            return

    def _put_written(self, written: Mapping[str, Entry]) -> None:
        entries = {}
        for id_, entry in written.items():
            # Whoever comes after the write must not join a loading that began before it.
            self._flights.forget(id_)
            entries[self._key(id_)] = entry
        with self._lock:
            for key, entry in entries.items():
                known = self._unsent.get(key)
                if known is None or known.version < entry.version:
                    self._unsent[key] = entry
            while len(self._unsent) > self._max_unsent:
                self._unsent.popitem(last=False)
        try:
            self._send(entries)
        except (CacheError, BreakerOpenError):
            return

    def _send(self, entries: Mapping[str, Entry]) -> None:
        if not entries:
            return
        with self._breaker.guard(CacheError):
            self._store.put_many({key: self._timed(entry) for key, entry in entries.items()})
        with self._lock:
            for key, entry in entries.items():
                known = self._unsent.get(key)
                if known is not None and known.version <= entry.version:
                    del self._unsent[key]

    def _timed(self, entry: Entry) -> TimedEntry:
        # A tombstone must outlive the slowest reader that still holds the message.
        is_guess = entry.body is None and entry.version == 0
        seconds = self._times.missing if is_guess else self._times.present
        return TimedEntry(entry, seconds * (1 - self._random.uniform(0, self._times.jitter_share)))

    def _key(self, id_: str) -> str:
        return f"{self._prefix}:{id_}"


def _entry(message: Versioned) -> Entry:
    return Entry(message.version, message.SerializeToString())
