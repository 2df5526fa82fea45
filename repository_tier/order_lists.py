"""Orders as they are read: from the database, never from the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import order_pb2, order_repository_pb2
from repository_tier.conversion import enum_word, sort_of
from repository_tier.database import Database
from repository_tier.field_checks import FieldChecks
from repository_tier.order_rows import ORDER_STATUS_WORDS, read_order, with_items
from repository_tier.paging import Order, Page, list_page, walked
from repository_tier.tables import orders
from repository_tier.totals import Totals
from tier_runtime.deadline import Deadline

_SORTS = MappingProxyType(
    {
        order_repository_pb2.ORDER_SORT_FIELD_UNSPECIFIED: orders.c.created_time,
        order_repository_pb2.ORDER_SORT_FIELD_CREATED_TIME: orders.c.created_time,
        order_repository_pb2.ORDER_SORT_FIELD_UPDATED_TIME: orders.c.updated_time,
    }
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which orders are wanted; empty and None mean any. `digest` tells one filter from another."""

    status: str
    user_id: str
    created_after: datetime | None
    created_before: datetime | None
    digest: bytes


def filter_from_proto(message: order_repository_pb2.OrderFilter) -> Filter:
    """Check a filter.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks("filter.")
    found = Filter(
        status=enum_word(ORDER_STATUS_WORDS, checks, "status", message.status)
        if message.status
        else "",
        user_id=checks.known_id("user_id", message.user_id) if message.user_id else "",
        created_after=checks.moment("created_after_time", message.created_after_time),
        created_before=checks.moment("created_before_time", message.created_before_time),
        digest=message.SerializeToString(deterministic=True),
    )
    checks.done()
    return found


def order_from_proto(
    sort: order_repository_pb2.OrderSortField.ValueType, *, descending: bool
) -> Order:
    """Check a sort field.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    return Order(sort_of(_SORTS, sort), orders.c.id, datetime, descending)


class OrderLists:
    """Reads orders."""

    def __init__(self, database: Database, totals: Totals) -> None:
        self._database = database
        self._totals = totals

    def get(self, order_id: str, deadline: Deadline) -> order_pb2.Order:
        """Return an order.

        Raises:
            AppError: MISSING/ORDER_NOT_FOUND.
        """
        return self._database.read(deadline, lambda connection: read_order(connection, order_id))

    def list(
        self, wanted: Filter, order: Order, page: Page, deadline: Deadline
    ) -> tuple[Sequence[order_pb2.Order], paging_pb2.PageResult]:
        """Return one page of orders, each with its items.

        Raises:
            AppError: INVALID/VALIDATION_FAILED, for a cursor of another list.
        """
        rows = _filtered(select(orders), wanted)
        # Few may be in a range of times: which index is the better one is then for the database to
        # judge, unless the range is a part of the one that the list is sorted by.
        has_range = wanted.created_after is not None or wanted.created_before is not None
        is_free = has_range and order.column is not orders.c.created_time
        walk = order if is_free else walked(order, _fixed_columns(wanted))

        def work(
            connection: Connection,
        ) -> tuple[Sequence[order_pb2.Order], paging_pb2.PageResult]:
            found = list_page(connection, rows, walk, page, wanted.digest, totals=self._totals)
            return with_items(connection, found.rows), found.place

        return self._database.read(deadline, work)


def _fixed_columns(wanted: Filter) -> list[ColumnElement[Any]]:
    fixed: list[ColumnElement[Any]] = []
    if wanted.status:
        fixed.append(orders.c.status)
    if wanted.user_id:
        fixed.append(orders.c.user_id)
    return fixed


def _filtered(rows: Select[Any], wanted: Filter) -> Select[Any]:
    if wanted.status:
        rows = rows.where(orders.c.status == wanted.status)
    if wanted.user_id:
        rows = rows.where(orders.c.user_id == wanted.user_id)
    if wanted.created_after is not None:
        rows = rows.where(orders.c.created_time >= wanted.created_after)
    if wanted.created_before is not None:
        rows = rows.where(orders.c.created_time < wanted.created_before)
    return rows
