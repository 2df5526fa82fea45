"""What a cache holds and what a store of it must be able to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """A serialized message and its version; without a body: "there is no such thing".

    Version 0 without a body is the knowledge of a reader that found nothing. A tombstone has
    the version after the last one: no version of the thing itself is ever newer.
    """

    version: int
    body: bytes | None


@dataclass(frozen=True, slots=True)
class TimedEntry:
    """An entry to put, and how long it is to be kept."""

    entry: Entry
    ttl_seconds: float


class CacheError(Exception):
    """The store of the cache cannot be reached."""


class CacheStore(Protocol):
    """Keeps entries. Safe to use from several threads."""

    def get(self, key: str) -> Entry | None:
        """Return the entry, if there is one whose time is not over.

        Raises:
            CacheError: the store cannot be reached.
        """
        ...

    def get_many(self, keys: Sequence[str]) -> Mapping[str, Entry]:
        """Return what `get` finds for each key, in one round trip.

        Raises:
            CacheError: the store cannot be reached.
        """
        ...

    def put(self, key: str, entry: Entry, ttl_seconds: float) -> bool:
        """Keep the entry unless there is a newer one; return whether it was kept.

        Raises:
            CacheError: the store cannot be reached; whether it was kept is not known.
        """
        ...

    def put_many(self, entries: Mapping[str, TimedEntry]) -> None:
        """Do what `put` does for each entry, in one round trip.

        Raises:
            CacheError: the store cannot be reached; which of them were kept is not known.
        """
        ...

    def ping(self) -> None:
        """Do nothing if the store can be reached.

        Raises:
            CacheError: it cannot.
        """
        ...

    def close(self) -> None:
        """Give back what the store holds."""
        ...
