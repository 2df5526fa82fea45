"""Builds the service of events."""

from __future__ import annotations

from functools import partial

from arcana.service.v1 import event_service_pb2_grpc
from service_tier.servicers.events import EventServicer
from service_tier.usecases.event_stream import EventStream
from tier_runtime.server import Registration


def make_event_service(stream: EventStream) -> Registration:
    """Build the service of events."""
    return Registration(
        "arcana.service.v1.EventService",
        partial(event_service_pb2_grpc.add_EventServiceServicer_to_server, EventServicer(stream)),
    )
