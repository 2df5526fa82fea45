"""Pages of lists that need not be asked for."""

from __future__ import annotations

from arcana.common.v1 import paging_pb2


def empty_page(page: paging_pb2.PageRequest) -> paging_pb2.PageResult:
    """Return where a page of nothing stands in a list of nothing."""
    return paging_pb2.PageResult(total=None if page.cursor else 0)
