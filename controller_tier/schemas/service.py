"""How the API is, and how it says that it could not: health and problems as JSON."""

from __future__ import annotations

from marshmallow import fields

from controller_tier.schemas.body import Document


class Problem(Document):
    """An error, as RFC 9457 has it. Branch on `code`."""

    type = fields.String(
        required=True, metadata={"description": "A URN made of the code.", "format": "uri"}
    )
    title = fields.String(required=True, metadata={"description": "The status in words."})
    status = fields.Integer(required=True)
    detail = fields.String(required=True, metadata={"description": "A sentence for people."})
    instance = fields.String(
        required=True, metadata={"description": "The request's path.", "format": "uri-reference"}
    )
    code = fields.String(required=True, metadata={"description": "Stable, UPPER_SNAKE."})
    request_id = fields.String(
        required=True, metadata={"description": "Finds the request in every tier's log."}
    )
    timestamp = fields.DateTime(required=True)
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "Faults by field path: field errors, and too little stock."},
    )


class Tiers(Document):
    """How each part is; `unknown` where the part that could tell does not answer."""

    controller = fields.String(required=True, metadata={"enum": ["up"]})
    service = fields.String(required=True, metadata={"enum": ["up", "down"]})
    repository = fields.String(required=True, metadata={"enum": ["up", "down", "unknown"]})
    database = fields.String(required=True, metadata={"enum": ["up", "down", "unknown"]})
    cache = fields.String(required=True, metadata={"enum": ["up", "down", "unknown"]})


class Health(Document):
    """How the whole is. `degraded`: everything is answered, more slowly."""

    status = fields.String(required=True, metadata={"enum": ["ok", "degraded", "down"]})
    tiers = fields.Nested(Tiers, required=True)
    breakers = fields.Dict(
        keys=fields.String(),
        values=fields.String(metadata={"enum": ["closed", "open"]}),
        required=True,
        metadata={
            "description": "By address of the service tier, how the worker that answers stands "
            "to it: while its breaker is `open`, requests are refused without asking there."
        },
    )
    version = fields.String(required=True)


class LiveTiers(Document):
    """What liveness knows of."""

    controller = fields.String(required=True, metadata={"enum": ["up"]})


class Liveness(Document):
    """That this process answers; no other part is looked at."""

    status = fields.String(required=True, metadata={"enum": ["ok"]})
    tiers = fields.Nested(LiveTiers, required=True)
    version = fields.String(required=True)
