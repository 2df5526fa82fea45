"""Paging over a list in memory."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TypeVar

from arcana.common.v1.paging_pb2 import PageRequest, PageResult
from tier_runtime.validation import invalid

T = TypeVar("T")


def page_of(items: Sequence[T], page: PageRequest) -> tuple[Sequence[T], PageResult]:
    """Return one page and where it stands; the cursor is an offset."""
    size = page.page_size or 10
    start = _offset(page.cursor) if page.cursor else page.page * size
    end = start + size
    result = PageResult(next_cursor=_cursor(end) if end < len(items) else "")
    if not page.cursor:
        result.total = len(items)
    return items[start:end], result


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(str(offset).encode()).decode()


def _offset(cursor: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(cursor).decode())
    except ValueError:
        raise invalid({"page.cursor": ["Not a cursor of this list."]}) from None
