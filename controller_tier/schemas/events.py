"""Which events are wanted, and what one looks like."""

from __future__ import annotations

from marshmallow import Schema, fields

from controller_tier.fields import Text
from controller_tier.schemas.body import Document

_TYPE = r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+"
# UUIDv7: RFC 9562, section 5.7.
EVENT_ID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"


class EventsQuery(Schema):
    """Which events are wanted."""

    type = Text(
        most=2000,
        pattern=f"{_TYPE}(,{_TYPE})*",
        fault="Not a type of event, such as order.created, or several with commas in between.",
        metadata={
            "description": "Only events of this type, or of these with commas in between, such as "
            "`order.created,order.paid`."
        },
    )
    after = Text(
        most=36,
        pattern=EVENT_ID,
        fault="Not the id of an event.",
        metadata={
            "description": "Begin after the event with this id. One that is not kept any more "
            "means to begin at about its time. The header `Last-Event-ID` goes before it."
        },
    )


class Event(Document):
    """Something that happened. It holds ids and plain facts only."""

    id = fields.UUID(required=True, metadata={"description": "UUIDv7."})
    type = fields.String(required=True)
    aggregate_type = fields.String(
        required=True, metadata={"description": "The kind of thing that it happened to."}
    )
    aggregate_id = fields.String(required=True)
    payload = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "Facts by name, all of them as text."},
    )
    occurred_at = fields.DateTime(required=True)
    request_id = fields.String(required=True, allow_none=True)
    actor_id = fields.String(required=True, allow_none=True)
