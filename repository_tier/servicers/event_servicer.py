"""EventRepository: events without a write."""

from __future__ import annotations

from grpc import ServicerContext

from arcana.repository.v1 import event_repository_pb2 as messages
from arcana.repository.v1.event_repository_pb2_grpc import EventRepositoryServicer
from repository_tier.outbox import Outbox, events_from_proto
from tier_runtime.context import rpc_context
from tier_runtime.validation import require


class EventServicer(EventRepositoryServicer):
    """Each method checks presence, converts in, makes one call, and converts out."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def AppendEvents(
        self, request: messages.AppendEventsRequest, context: ServicerContext
    ) -> messages.AppendEventsResponse:
        require(request, "events")
        events = events_from_proto(request.events)
        self._outbox.append(events, rpc_context(context).deadline)
        return messages.AppendEventsResponse()
