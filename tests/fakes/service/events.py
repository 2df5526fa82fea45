"""EventService in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.service.v1 import event_service_pb2 as pb
from tests.fakes.service.memory import FakeServiceTier


class FakeEvents:
    """Streams what is in `events`, and then None, a sign of life, for as long as `more` says."""

    def __init__(self, tier: FakeServiceTier) -> None:
        self._tier = tier

    def StreamEvents(self, request: pb.StreamEventsRequest) -> FakeStream:
        self._tier.enter("StreamEvents", request)
        return FakeStream(self._tier.events, self._tier.more_events)


class FakeStream:
    """An RPC in flight."""

    def __init__(self, events: list[DomainEvent | None], more: Callable[[], bool]) -> None:
        self._answers = _answers(events, more)
        self.is_cancelled = False

    def __iter__(self) -> Iterator[pb.StreamEventsResponse]:
        return self

    def __next__(self) -> pb.StreamEventsResponse:
        if self.is_cancelled:
            raise StopIteration
        return next(self._answers)

    def cancel(self) -> bool:
        self.is_cancelled = True
        return True


def _answers(
    events: list[DomainEvent | None], more: Callable[[], bool]
) -> Iterator[pb.StreamEventsResponse]:
    yield pb.StreamEventsResponse()
    for event in events:
        yield pb.StreamEventsResponse(event=event)
    while more():
        yield pb.StreamEventsResponse()
