"""The cache over Redis: one hash a key, written by compare-and-set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from repository_tier.cache.entry import CacheError, Entry, TimedEntry
from repository_tier.store_spans import TracedRedis
from tier_runtime.tracing.spans import NO_TRACING, Tracing

KEY_PREFIX = "arcana:cache:"

# The fields of a hash: the version, and the body if there is one. The script compares and sets
# in one step, so that a reader which was slow cannot undo what a writer has put meanwhile. It takes
# version, milliseconds, whether there is a body, and the body of each key.
_PUT = """
local kept_count = 0
for index, key in ipairs(KEYS) do
  local first = index * 4 - 3
  local kept = redis.call('HGET', key, 'version')
  if not kept or tonumber(kept) <= tonumber(ARGV[first]) then
    redis.call('DEL', key)
    if ARGV[first + 2] == '1' then
      redis.call('HSET', key, 'version', ARGV[first], 'body', ARGV[first + 3])
    else
      redis.call('HSET', key, 'version', ARGV[first])
    end
    redis.call('PEXPIRE', key, ARGV[first + 1])
    kept_count = kept_count + 1
  end
end
return kept_count
"""

# One command to write and one answer to read, where a pipeline has one for each key.
_GET_MANY = """
local found = {}
for index, key in ipairs(KEYS) do
  found[index] = redis.call('HMGET', key, 'version', 'body')
end
return found
"""


def connect_redis(
    url: str, timeout_seconds: float, max_connections: int, tracing: Tracing = NO_TRACING
) -> Redis:
    """Return a client that waits at most that long for Redis, and never tries again.

    With redis-py's own settings a paused Redis would hold each call for a minute.
    """
    kind = TracedRedis if tracing.is_on else Redis
    client = kind.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        max_connections=max_connections,
    )
    if isinstance(client, TracedRedis):
        client.tracing = tracing
    return client


class RedisStore:
    """Implements CacheStore."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._put = client.register_script(_PUT)
        self._get_many = client.register_script(_GET_MANY)

    def get(self, key: str) -> Entry | None:
        """Return the entry, if there is one whose time is not over."""
        try:
            # The client's types know of an asynchronous twin of each call.
            found: Any = self._client.hmget(KEY_PREFIX + key, ["version", "body"])
        except RedisError as error:
            raise CacheError from error
        return _entry(*found)

    def get_many(self, keys: Sequence[str]) -> Mapping[str, Entry]:
        """Return what `get` finds for each key, in one round trip."""
        try:
            found: Any = self._get_many(keys=[KEY_PREFIX + key for key in keys])
        except RedisError as error:
            raise CacheError from error
        entries = ((key, _entry(*fields)) for key, fields in zip(keys, found, strict=True))
        return {key: entry for key, entry in entries if entry is not None}

    def put(self, key: str, entry: Entry, ttl_seconds: float) -> bool:
        """Keep the entry unless there is a newer one; return whether it was kept."""
        return self._put_all({key: TimedEntry(entry, ttl_seconds)}) == 1

    def put_many(self, entries: Mapping[str, TimedEntry]) -> None:
        """Do what `put` does for each entry, in one round trip."""
        self._put_all(entries)

    def ping(self) -> None:
        """Do nothing if Redis answers."""
        try:
            self._client.ping()
        except RedisError as error:
            raise CacheError from error

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _put_all(self, entries: Mapping[str, TimedEntry]) -> int:
        arguments: list[int | str | bytes] = []
        for timed in entries.values():
            entry, milliseconds = timed.entry, max(int(timed.ttl_seconds * 1000), 1)
            has_body = "0" if entry.body is None else "1"
            arguments += [entry.version, milliseconds, has_body, entry.body or b""]
        try:
            kept: Any = self._put(keys=[KEY_PREFIX + key for key in entries], args=arguments)
        except RedisError as error:
            raise CacheError from error
        return int(kept)


def _entry(version: bytes | None, body: bytes | None) -> Entry | None:
    return None if version is None else Entry(int(version), body)
