"""Jobs as JSON."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from controller_tier.fields import Choice, Identity, Text
from controller_tier.schemas.body import Body, Document
from controller_tier.schemas.paging import Page, PageQuery

STATUSES = ("queued", "running", "succeeded", "failed")
TEMPLATES = ("announcement",)
MAX_RECIPIENTS = 10_000


class JobProgress(Document):
    """How much of a job is done, in units of its own, such as users."""

    done = fields.Integer(required=True)
    total = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Null while it is not known."}
    )


class JobError(Document):
    """Why the last attempt failed."""

    code = fields.String(required=True, metadata={"description": "Stable, UPPER_SNAKE."})
    message = fields.String(required=True, metadata={"description": "A sentence for people."})


class Job(Document):
    """Work that is done after the answer."""

    id = fields.UUID(required=True, metadata={"description": "UUIDv7."})
    name = fields.String(required=True, metadata={"description": "What is done."})
    status = fields.String(
        required=True,
        metadata={
            "enum": list(STATUSES),
            "description": "`queued` also between two attempts; `failed` after the last one.",
        },
    )
    progress = fields.Nested(
        JobProgress, required=True, allow_none=True, metadata={"description": "Null at first."}
    )
    attempts = fields.Integer(required=True, metadata={"description": "How often it was begun."})
    error = fields.Nested(
        JobError, required=True, allow_none=True, metadata={"description": "Null if there is none."}
    )
    result = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        allow_none=True,
        metadata={"description": "What came out, by name; null until it has succeeded."},
    )
    created_at = fields.DateTime(required=True)
    due_at = fields.DateTime(
        required=True, metadata={"description": "When it may be begun, or begun again."}
    )
    started_at = fields.DateTime(required=True, allow_none=True)
    finished_at = fields.DateTime(required=True, allow_none=True)


class JobPage(Page):
    """One page of jobs."""

    data = fields.List(fields.Nested(Job), required=True)


class JobsQuery(PageQuery):
    """Which jobs are wanted; all given conditions must hold."""

    sort = Choice("created_at", load_default="created_at", metadata={"description": "Sort field."})
    order = Choice(
        "asc",
        "desc",
        load_default="asc",
        metadata={"description": "Direction of `sort`. Every order ends in the id."},
    )
    status = Choice(*STATUSES)
    name = Text(most=64, pattern="[a-z][a-z-]{0,63}", fault="Not the name of a job.")


class BulkEmailBody(Body):
    """A mail to many users: to those named, or with `all` to all active ones."""

    user_ids = fields.List(
        Identity(),
        validate=validate.Length(min=1, max=MAX_RECIPIENTS),
        metadata={"description": "Those of nobody are passed over. Leave out with `all`."},
    )
    all = fields.Boolean(
        truthy={True},
        falsy=set(),
        metadata={"description": "`true` mails all active users.", "enum": [True]},
    )
    subject = Text(most=200, strip=True, required=True)
    template = Choice(*TEMPLATES, required=True)
    context = fields.Dict(
        keys=Text(most=64, pattern="[a-z][a-z0-9_]{0,63}", fault="Not a name of a-z, 0-9 and _."),
        values=Text(least=0, most=5000, lines=True),
        required=True,
        validate=validate.Length(max=20),
        metadata={
            "description": "What the template is filled with; `announcement` needs `body`, whose "
            "paragraphs are parted by empty lines."
        },
    )

    @validates_schema
    def _names_somebody(self, data: dict[str, Any], **_options: Any) -> None:
        if ("user_ids" in data) == ("all" in data):
            raise ValidationError({"user_ids": ["Give either `user_ids` or `all`."]})


class DailyReportBody(Body):
    """Which day's report is wanted."""

    may_be_absent = True

    date = fields.Date(
        format="%Y-%m-%d",
        metadata={"description": "A day, in UTC, that is not in the future; yesterday by default."},
    )
