"""Events as JSON, and as server-sent events (HTML Living Standard, section 9.2)."""

from __future__ import annotations

from typing import Any

import orjson

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.service.v1.event_service_pb2 import StreamEventsRequest
from controller_tier.conversion.times import rfc3339


def stream_events_request(query: dict[str, Any], last_event_id: str) -> StreamEventsRequest:
    """Return the request; what a client that comes back has seen last goes before `after`."""
    types = query.get("type", "")
    after = last_event_id or query.get("after", "")
    return StreamEventsRequest(
        types=types.split(",") if types else (), after_event_id=after.lower()
    )


def event_document(event: DomainEvent) -> dict[str, Any]:
    """Return the event as the API shows it."""
    return {
        "id": event.id,
        "type": event.type,
        "aggregate_type": event.aggregate_type,
        "aggregate_id": event.aggregate_id,
        "payload": dict(event.payload),
        "occurred_at": rfc3339(event.occurred_time),
        "request_id": event.request_id or None,
        "actor_id": event.actor_subject or None,
    }


def server_sent(event: DomainEvent) -> bytes:
    """Return the event as it stands in a stream. JSON has no line breaks, and types have none."""
    document = orjson.dumps(event_document(event))
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (
        event.id.encode(),
        event.type.encode(),
        document,
    )
