"""Files as JSON, and the form that brings one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from marshmallow import Schema, fields

from controller_tier.fields import Choice, Text
from controller_tier.schemas.body import Document
from controller_tier.schemas.paging import Page, SortedPageQuery

SORTS = ("created_at",)
MAX_FILE_BYTES = 10 * 1024 * 1024
FILE_FIELD = "file"
_OOXML = "application/vnd.openxmlformats-officedocument"
# What a file may be answered as.
CONTENT_TYPES = (
    "application/msword",
    "application/pdf",
    "application/vnd.ms-excel",
    f"{_OOXML}.spreadsheetml.sheet",
    f"{_OOXML}.wordprocessingml.document",
    "image/gif",
    "image/jpeg",
    "image/png",
)
# The form as the document describes it: the one body that no schema loads.
UPLOAD_FORM: Mapping[str, Any] = MappingProxyType(
    {
        "type": "object",
        "properties": {
            FILE_FIELD: {
                "type": "string",
                "format": "binary",
                "description": "pdf, png, jpg, jpeg, gif, doc, docx, xls or xlsx, at most "
                f"{MAX_FILE_BYTES} bytes; the content must be what the filename's extension says.",
            }
        },
        "required": [FILE_FIELD],
        "additionalProperties": False,
    }
)


class File(Document):
    """A file that was uploaded. It never changes."""

    id = fields.UUID(required=True, metadata={"description": "UUIDv7."})
    filename = fields.String(required=True, metadata={"description": "Sanitised."})
    content_type = fields.String(required=True)
    size = fields.Integer(required=True, metadata={"description": "In bytes."})
    sha256 = fields.String(
        required=True, metadata={"description": "Of the content.", "pattern": "^[0-9a-f]{64}$"}
    )
    url = fields.String(
        required=True,
        metadata={"description": "Where to ask for a download.", "format": "uri-reference"},
    )
    uploaded_by = fields.UUID(required=True)
    created_at = fields.DateTime(required=True)


class FilePage(Page):
    """One page of files."""

    data = fields.List(fields.Nested(File), required=True)


class FilesQuery(SortedPageQuery):
    """Which page of files is wanted."""

    sort = Choice(*SORTS, load_default="created_at", metadata={"description": "Sort field."})


class Download(Document):
    """A way to download a file."""

    download_url = fields.String(
        required=True,
        metadata={"description": "Works without a token until it expires.", "format": "uri"},
    )
    expires_in = fields.Integer(required=True, metadata={"description": "In seconds."})


class ContentQuery(Schema):
    """What a link brings along."""

    token = Text(
        most=100,
        pattern="[A-Za-z0-9_-]+",
        fault="Not a token of a link.",
        required=True,
        metadata={"description": "As it stands in the link."},
    )
