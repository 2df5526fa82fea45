"""EventService over its use case."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from arcana.service.v1 import event_service_pb2 as pb
from arcana.service.v1 import event_service_pb2_grpc
from service_tier.usecases.event_stream import EventStream
from tier_runtime.context import rpc_context


class EventServicer(event_service_pb2_grpc.EventServiceServicer):
    """What happens, as it happens."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream

    def StreamEvents(
        self, request: pb.StreamEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.StreamEventsResponse]:
        """Stream events."""
        wanted = list(request.types)
        for event in self._stream.follow(rpc_context(context), wanted, request.after_event_id):
            yield pb.StreamEventsResponse(event=event)
