"""Open streams of server-sent events: how many, for how long, and when they end.

Each holds a thread of its worker, so there are few. It ends when its client goes, when its time is
over, when its caller may no longer see it, and when the worker stops; a browser's EventSource comes
back by itself and goes on after the last event that it has seen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.service.v1.event_service_pb2 import StreamEventsRequest
from controller_tier.request_scope import call_of_request
from controller_tier.stubs import EventStub
from tier_runtime.call import call_scope
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.logs import get_logger

# How long a client may be told nothing, which also finds out that it has gone.
HEARTBEAT_SECONDS = 10.0
# When a client shall come back after a stream has ended.
RETRY_AFTER_SECONDS = 5.0
RETRY_LINE = b"retry: 2000\n\n"
HEARTBEAT = b": heartbeat\n\n"

# Says whether the caller may still see events; raises AppError when not.
StillAllowed = Callable[[], object]
Encode = Callable[[DomainEvent], bytes]


class EventFeeds:
    """Opens feeds, and ends all of them when the worker stops. Safe in several threads."""

    def __init__(
        self, events: EventStub, clock: Clock, *, max_open: int, longest_seconds: float
    ) -> None:
        self._events = events
        self._clock = clock
        self._max_open = max_open
        self._longest = longest_seconds
        self._lock = threading.Lock()
        self._open: set[EventFeed] = set()
        self._is_closed = False

    def open(
        self, request: StreamEventsRequest, allowed: StillAllowed, encode: Encode
    ) -> EventFeed:
        """Return a feed on behalf of the current call, of which the first answer has come.

        Raises:
            AppError: as the contract names them; UNAVAILABLE/SERVICE_UNAVAILABLE too while there
                are as many as there may be.
        """
        call = call_of_request()
        feed = EventFeed(self._clock, allowed, encode, self._forget)
        with self._lock:
            if self._is_closed or len(self._open) >= self._max_open:
                raise AppError(
                    Kind.UNAVAILABLE,
                    "SERVICE_UNAVAILABLE",
                    "Too many event streams are open.",
                    retry_after=RETRY_AFTER_SECONDS,
                )
            self._open.add(feed)
        # It outlives the request's own deadline.
        deadline = Deadline.after(self._longest, self._clock.monotonic)
        try:
            with call_scope(replace(call, deadline=deadline)):
                feed.begin(self._events.StreamEvents(request))
        except BaseException:
            feed.close()
            raise
        return feed

    def close(self) -> None:
        """End all feeds, and open no more; waits for nothing."""
        with self._lock:
            self._is_closed = True
            feeds = list(self._open)
        for feed in feeds:
            feed.cancel()

    def _forget(self, feed: EventFeed) -> None:
        with self._lock:
            self._open.discard(feed)


class EventFeed:
    """One stream, as the parts of an answer's body. gunicorn closes it when its client goes."""

    def __init__(
        self,
        clock: Clock,
        allowed: StillAllowed,
        encode: Encode,
        on_close: Callable[[EventFeed], None],
    ) -> None:
        self._clock = clock
        self._allowed = allowed
        self._encode = encode
        self._on_close = on_close
        self._answers: Any = None
        self._is_cancelled = False
        self._parts = self._body()

    def begin(self, answers: Any) -> None:
        """Take the stream and wait for its first answer, which says that it is granted.

        Raises:
            AppError: it is not.
        """
        self._answers = answers
        if self._is_cancelled:
            self.cancel()
        next(answers, None)

    def cancel(self) -> None:
        """End the stream; whoever reads it finds that within a moment."""
        self._is_cancelled = True
        cancel = getattr(self._answers, "cancel", None)
        if cancel is not None:
            cancel()

    def close(self) -> None:
        """End the stream and give back its place."""
        self.cancel()
        self._on_close(self)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._parts)

    def _body(self) -> Iterator[bytes]:
        yield RETRY_LINE
        written_at = self._clock.monotonic()
        try:
            for answer in self._answers:
                self._allowed()
                now = self._clock.monotonic()
                if answer.HasField("event"):
                    yield self._encode(answer.event)
                elif now - written_at >= HEARTBEAT_SECONDS:
                    yield HEARTBEAT
                else:
                    continue
                written_at = now
        except AppError as error:
            # The head is out, so there is nothing to say it by. The client comes back, and is told.
            if not self._is_cancelled:
                get_logger(__name__).info("event_stream_ended", code=error.code)
