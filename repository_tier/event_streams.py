"""Streams of events to consumers and followers: how long they go on, and when they end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from repository_tier.event_log.log import Consumption, EventLog, TakenEvent
from tier_runtime.context import RpcContext

# How long the log is waited for at a time: a stream whose caller has gone, or whose tier stops,
# ends within that.
WAIT_SECONDS = 0.2
# A stream ends by itself so long before its deadline, which would make an error of it.
MARGIN_SECONDS = 0.5
# A follower is told so often that there is nothing new. Whoever passes that on can end only then.
SIGN_SECONDS = 1.0


class EventStreams:
    """Makes streams out of the log."""

    def __init__(self, log: EventLog, is_draining: Callable[[], bool]) -> None:
        self._log = log
        self._is_draining = is_draining

    def consume(
        self, wanted: Consumption, most: int, context: RpcContext
    ) -> Iterator[Sequence[TakenEvent]]:
        """Yield events as they come, until there have been as many as the caller wants.

        Raises:
            AppError: UNAVAILABLE/SERVICE_UNAVAILABLE.
        """
        left = most
        while left > 0 and self._goes_on(context):
            taken = self._log.take(wanted, left, WAIT_SECONDS, context.deadline)
            left -= len(taken)
            if taken:
                yield taken

    def follow(
        self, types: Collection[str], after_event_id: str, context: RpcContext
    ) -> Iterator[bytes | None]:
        """Yield events as they come, and None as a sign of life: at once, and then now and then.

        Raises:
            AppError: UNAVAILABLE/SERVICE_UNAVAILABLE.
        """
        follower = self._log.follow(types, after_event_id, context.deadline)
        yield None
        silent = 0.0
        while self._goes_on(context):
            events = follower.read(WAIT_SECONDS, context.deadline)
            yield from events
            silent = 0.0 if events else silent + WAIT_SECONDS
            if silent >= SIGN_SECONDS:
                silent = 0.0
                yield None

    def _goes_on(self, context: RpcContext) -> bool:
        has_time = context.deadline.remaining() > MARGIN_SECONDS
        return has_time and context.is_active() and not self._is_draining()
