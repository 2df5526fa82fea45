"""The streams of Redis that hold events, by their names and commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from repository_tier.event_log.log import PublishedEvent
from repository_tier.event_log.redis_scripts import TRIM
from repository_tier.store_errors import RETRY_AFTER_SECONDS
from tier_runtime.errors import AppError, Kind

# One stream for all types: events of one aggregate keep their order whatever their types are.
STREAM = "arcana:events"


@dataclass(frozen=True, slots=True)
class GroupKeys:
    """The keys of one group."""

    again: str
    refused: str
    dead: str

    @classmethod
    def of(cls, group: str) -> GroupKeys:
        """Return the keys of the group of that name."""
        return cls(*(f"{STREAM}:{group}:{name}" for name in ("again", "refused", "dead")))

    def of_scripts(self) -> list[str]:
        """Return the keys in the order in which the scripts take them."""
        return [STREAM, self.again, self.refused, self.dead]


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in the stream; `published` is in seconds since 1970, by the relay's clock."""

    entry_id: str
    event_id: str
    type: str
    body: bytes
    published: float


@dataclass(frozen=True, slots=True)
class GroupState:
    """How a group stands: the last entry that it was given, and how many are not settled."""

    last_given: str
    in_hand: int
    # Entries that it was not given yet.
    waiting: int


@contextmanager
def redis_errors() -> Iterator[None]:
    """Raise what Redis' client raises as UNAVAILABLE/SERVICE_UNAVAILABLE."""
    try:
        yield
    except RedisError as error:
        raise AppError(
            Kind.UNAVAILABLE,
            "SERVICE_UNAVAILABLE",
            "The event log is not available.",
            retry_after=RETRY_AFTER_SECONDS,
        ) from error


def is_no_group(error: BaseException | None) -> bool:
    """True when Redis does not know the group."""
    return isinstance(error, ResponseError) and "NOGROUP" in str(error)


class EventStreams:
    """Commands about the stream and its groups. They raise the errors of Redis' client."""

    def __init__(self, client: Redis, max_length: int) -> None:
        self._client = client
        self._max_length = max_length
        self._trim = client.register_script(TRIM)

    def add(self, events: Iterable[PublishedEvent], now: datetime) -> None:
        """Append events, and cut off what exceeds the length and nobody has still to settle."""
        with self._client.pipeline(transaction=False) as pipeline:
            for event in events:
                pipeline.xadd(
                    STREAM,
                    {
                        "id": event.id,
                        "type": event.type,
                        "published": f"{now.timestamp():.6f}",
                        "body": event.body,
                    },
                )
            self._trim(keys=[STREAM], args=[self._max_length], client=pipeline)
            pipeline.execute()

    def run_id(self) -> str:
        """Return the id that Redis has until it is restarted."""
        server: Any = self._client.info("server")
        return str(server["run_id"])

    def make_group(self, group: str) -> bool:
        """Make a group that begins with the oldest entry; return whether it was not there."""
        try:
            self._client.xgroup_create(STREAM, group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" in str(error):
                return False
            raise
        return True

    def groups(self) -> Mapping[str, GroupState]:
        """Return how each group stands, by its name."""
        try:
            found: Any = self._client.xinfo_groups(STREAM)
        except ResponseError:
            # There is no stream before the first event.
            return {}
        return {_text(each["name"]): self._state_of(each) for each in found}

    def read_new(self, group: str, most: int, wait_seconds: float) -> list[Entry]:
        """Give a group entries that it was not given yet."""
        found: Any = self._client.xreadgroup(
            group, "consumers", {STREAM: ">"}, count=most, block=max(int(wait_seconds * 1000), 1)
        )
        return _entries(found)

    def read_after(self, entry_id: str, most: int, wait_seconds: float) -> list[Entry]:
        """Return entries behind one, waiting for the first."""
        milliseconds = int(wait_seconds * 1000)
        found: Any = self._client.xread(
            {STREAM: entry_id}, count=most, block=milliseconds if milliseconds > 0 else None
        )
        return _entries(found)

    def settle_unseen(self, group: str, entry_ids: Sequence[str]) -> None:
        """Acknowledge entries that nobody wants."""
        self._client.xack(STREAM, group, *entry_ids)

    def last_id(self) -> str:
        """Return the id of the newest entry; "0-0" without one."""
        found: Any = self._client.xrevrange(STREAM, count=1)
        return _text(found[0][0]) if found else "0-0"

    def first_in_hand(self, group: str) -> Entry | None:
        """Return the oldest entry that a consumer holds, unless it was cut off."""
        summary: Any = self._client.xpending(STREAM, group)
        if not summary["pending"]:
            return None
        return self._first(_text(summary["min"]))

    def first_after(self, entry_id: str) -> Entry | None:
        """Return the entry behind one."""
        return self._first(f"({entry_id}")

    def _first(self, entry_id: str) -> Entry | None:
        found: Any = self._client.xrange(STREAM, min=entry_id, count=1)
        return _entry(*found[0]) if found else None

    def _state_of(self, group: Mapping[str, Any]) -> GroupState:
        waiting = group["lag"]
        if waiting is None:
            # Redis counts again once the group has been given all there is.
            waiting = self._client.xlen(STREAM)
        return GroupState(_text(group["last-delivered-id"]), int(group["pending"]), int(waiting))


def moment(seconds: float) -> datetime:
    """Return a moment from seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def _entries(found: Any) -> list[Entry]:
    if not found:
        return []
    # One stream was asked for. RESP3 answers a mapping, RESP2 a list of pairs.
    pages = found.values() if isinstance(found, Mapping) else [page for _, page in found]
    entries: list[Entry] = []
    for page in pages:
        flat = page[0] if isinstance(found, Mapping) else page
        entries += [_entry(*each) for each in flat]
    return entries


def _entry(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Entry:
    return Entry(
        _text(entry_id),
        _text(fields[b"id"]),
        _text(fields[b"type"]),
        fields[b"body"],
        float(fields[b"published"]),
    )


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
