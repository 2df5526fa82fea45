"""Pages of lists: what is asked for, and the envelope of the answer."""

from __future__ import annotations

from marshmallow import Schema, fields

from controller_tier.fields import Choice, QueryInteger, Text
from controller_tier.schemas.body import Document

MAX_PAGE = 2**31 - 1


class PageQuery(Schema):
    """Which page of a list is wanted."""

    page = QueryInteger(
        least=0,
        most=MAX_PAGE,
        load_default=0,
        metadata={"description": "Page number from 0. The cost grows with it; see `cursor`."},
    )
    size = QueryInteger(
        least=1, most=100, load_default=10, metadata={"description": "Items on one page."}
    )
    cursor = Text(
        most=2048,
        pattern="[A-Za-z0-9_=-]+",
        fault="Not a cursor of ours.",
        metadata={
            "description": "The `next_cursor` of the page before, with the same filters and "
            "order. Takes the place of `page`; every page costs the same."
        },
    )


class SortedPageQuery(PageQuery):
    """Which page, in which direction."""

    order = Choice(
        "asc",
        "desc",
        load_default="asc",
        metadata={"description": "Direction of `sort`. Every order ends in the id."},
    )


class Page(Document):
    """The envelope of a page; a subclass adds `data`."""

    page = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Null when a cursor was used."}
    )
    size = fields.Integer(required=True)
    total = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Null when a cursor was used."}
    )
    total_pages = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Null when a cursor was used."}
    )
    has_next = fields.Boolean(required=True)
    has_previous = fields.Boolean(required=True)
    next_cursor = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Leads to the next page; null on the last one."},
    )
