"""EventService in memory."""

from __future__ import annotations

from collections.abc import Callable, Generator

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.service.v1 import event_service_pb2 as pb
from tests.fakes.service.memory import FakeServiceTier
from tests.fakes.streams import Receiving


class FakeEvents:
    """Streams what is in `events`, and then None, a sign of life, for as long as `more` says."""

    def __init__(self, tier: FakeServiceTier) -> None:
        self._tier = tier

    def StreamEvents(self, request: pb.StreamEventsRequest) -> Receiving:
        self._tier.enter("StreamEvents", request)
        return Receiving(_answers(self._tier.events, self._tier.more_events))


def _answers(
    events: list[DomainEvent | None], more: Callable[[], bool]
) -> Generator[pb.StreamEventsResponse]:
    yield pb.StreamEventsResponse()
    for event in events:
        yield pb.StreamEventsResponse(event=event)
    while more():
        yield pb.StreamEventsResponse()
