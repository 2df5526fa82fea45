"""Checks which page is asked for; the message is the same on both boundaries."""

from __future__ import annotations

from arcana.common.v1 import paging_pb2
from service_tier.domain.faults import refuse_faults

MAX_PAGE_SIZE = 100


def page_from_request(page: paging_pb2.PageRequest) -> paging_pb2.PageRequest:
    """Return the page asked for.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, when its size or number is out of range.
    """
    faults = {}
    if not 0 <= page.page_size <= MAX_PAGE_SIZE:
        faults["page_size"] = [f"Must be 1 to {MAX_PAGE_SIZE}."]
    if page.page < 0:
        faults["page"] = ["Must be 0 or more."]
    refuse_faults(faults)
    return page
