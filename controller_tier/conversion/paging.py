"""Which page is wanted, and where an answer stands in its list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arcana.common.v1.paging_pb2 import PageRequest, PageResult
from controller_tier.operations import Fields


def page_request(query: Fields) -> PageRequest:
    """Return the page that a loaded query asks for; a cursor takes the place of the number."""
    cursor = query.get("cursor", "")
    return PageRequest(
        page_size=query["size"],
        page=0 if cursor else query["page"],
        cursor=cursor,
        descending=query.get("order") == "desc",
    )


def page_document(
    items: Sequence[dict[str, Any]], result: PageResult, query: Fields
) -> dict[str, Any]:
    """Return the envelope of one page of a list."""
    size, next_cursor = query["size"], result.next_cursor or None
    if not result.HasField("total"):
        return {
            "data": items,
            "page": None,
            "size": size,
            "total": None,
            "total_pages": None,
            "has_next": next_cursor is not None,
            # A cursor comes from the page before.
            "has_previous": True,
            "next_cursor": next_cursor,
        }
    page, total_pages = query["page"], -(-result.total // size)
    return {
        "data": items,
        "page": page,
        "size": size,
        "total": result.total,
        "total_pages": total_pages,
        # Not by the total, which in a long list may be some seconds older than the page.
        "has_next": next_cursor is not None,
        "has_previous": page > 0,
        "next_cursor": next_cursor,
    }
