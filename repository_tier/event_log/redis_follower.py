"""Reads events from the stream of Redis, in its order."""

from __future__ import annotations

from collections.abc import Sequence

from repository_tier.event_log.event_times import begin_of
from repository_tier.event_log.redis_streams import EventStreams, redis_errors
from tier_runtime.deadline import Deadline

PAGE = 200
# Of a stream that is searched for an event.
SEARCH_PAGE = 1000


class RedisFollower:
    """Implements Follower."""

    def __init__(self, streams: EventStreams, types: frozenset[str], entry_id: str) -> None:
        self._streams = streams
        self._types = types
        self._entry_id = entry_id

    @classmethod
    def after(
        cls, streams: EventStreams, types: frozenset[str], event_id: str, deadline: Deadline
    ) -> RedisFollower:
        """Return a reader that begins behind an event, or with what comes next.

        Ids of entries are milliseconds and a number, and no event is published before it is made:
        so the event, if it is kept, is found by reading on from its time.
        """
        if not event_id:
            return cls(streams, types, streams.last_id())
        milliseconds = int(begin_of(event_id).timestamp() * 1000)
        newest = streams.last_id()
        if milliseconds > int(newest.partition("-")[0]):
            return cls(streams, types, newest)
        begin = f"{milliseconds}-0"
        at = begin
        while True:
            deadline.check()
            entries = streams.read_after(at, SEARCH_PAGE, 0)
            for entry in entries:
                if entry.event_id == event_id:
                    return cls(streams, types, entry.entry_id)
            if len(entries) < SEARCH_PAGE:
                return cls(streams, types, begin)
            at = entries[-1].entry_id

    def read(self, wait_seconds: float, deadline: Deadline) -> Sequence[bytes]:
        """Return the next events; none, too, where all there are have other types."""
        del deadline
        with redis_errors():
            entries = self._streams.read_after(self._entry_id, PAGE, wait_seconds)
        if entries:
            self._entry_id = entries[-1].entry_id
        return [each.body for each in entries if not self._types or each.type in self._types]
