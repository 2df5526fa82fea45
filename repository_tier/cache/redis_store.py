"""The cache over Redis: one hash a key, written by compare-and-set."""

from __future__ import annotations

from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from repository_tier.cache.entry import CacheError, Entry

KEY_PREFIX = "arcana:cache:"

# The fields of a hash: the version, and the body if there is one. The script compares and sets
# in one step, so that a reader which was slow cannot undo what a writer has put meanwhile.
_PUT = """
local kept = redis.call('HGET', KEYS[1], 'version')
if kept and tonumber(kept) > tonumber(ARGV[1]) then
  return 0
end
redis.call('DEL', KEYS[1])
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'version', ARGV[1], 'body', ARGV[4])
else
  redis.call('HSET', KEYS[1], 'version', ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""


def connect_redis(url: str, timeout_seconds: float, max_connections: int) -> Redis:
    """Return a client that waits at most that long for Redis, and never tries again.

    With redis-py's own settings a paused Redis would hold each call for a minute.
    """
    return Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        max_connections=max_connections,
    )


class RedisStore:
    """Implements CacheStore."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._put = client.register_script(_PUT)

    def get(self, key: str) -> Entry | None:
        """Return the entry, if there is one whose time is not over."""
        try:
            # The client's types know of an asynchronous twin of each call.
            found: Any = self._client.hmget(KEY_PREFIX + key, ["version", "body"])
        except RedisError as error:
            raise CacheError from error
        version, body = found
        return None if version is None else Entry(int(version), body)

    def put(self, key: str, entry: Entry, ttl_seconds: float) -> bool:
        """Keep the entry unless there is a newer one; return whether it was kept."""
        milliseconds = max(int(ttl_seconds * 1000), 1)
        has_body = "0" if entry.body is None else "1"
        try:
            kept = self._put(
                keys=[KEY_PREFIX + key],
                args=[entry.version, milliseconds, has_body, entry.body or b""],
            )
        except RedisError as error:
            raise CacheError from error
        return bool(kept)

    def ping(self) -> None:
        """Do nothing if Redis answers."""
        try:
            self._client.ping()
        except RedisError as error:
            raise CacheError from error

    def close(self) -> None:
        """Close all connections."""
        self._client.close()
