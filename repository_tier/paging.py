"""Pages of a list: counted from its start, or from where the last page ended."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from operator import gt, lt
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    literal,
    or_,
    tuple_,
)

from arcana.common.v1 import paging_pb2
from repository_tier.column_types import MYSQL_DIALECTS
from repository_tier.cursor import KeyType, Position, list_digest, read_cursor, write_cursor
from repository_tier.field_checks import FieldChecks
from repository_tier.totals import Totals

DEFAULT_PAGE_SIZE = 10
MAX_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class Order:
    """What a list is sorted by: a column, then the id, both in one direction.

    With `unique` the column decides alone, which lets MySQL walk a unique key. `index` is the one
    that MySQL is told to walk; empty: it chooses.
    """

    column: Column[Any]
    id_column: Column[str]
    key_type: KeyType
    descending: bool
    unique: bool = False
    index: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted."""

    size: int
    number: int
    cursor: str


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of a page, and where it stands."""

    rows: Sequence[RowMapping]
    place: paging_pb2.PageResult


def page_from_proto(request: paging_pb2.PageRequest) -> Page:
    """Check a page request.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks()
    if not 0 <= request.page_size <= MAX_PAGE_SIZE:
        checks.fault("page_size", f"Must be from 1 to {MAX_PAGE_SIZE}.")
    checks.not_negative("page", request.page)
    checks.done()
    return Page(request.page_size or DEFAULT_PAGE_SIZE, request.page, request.cursor)


def list_page(
    connection: Connection,
    rows: Select[Any],
    order: Order,
    page: Page,
    filter_digest: bytes,
    *,
    totals: Totals,
) -> Found:
    """Return one page of the rows. They must hold both columns of the order.

    A page by cursor costs the same wherever it is; a page by number has the total with it. The
    connection is one of `Database`.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, when the cursor is not one of this list.
    """
    table_name = order.column.table.name.encode()
    direction = b"descending" if order.descending else b"ascending"
    digest = list_digest(table_name, order.column.name.encode(), direction, filter_digest)
    total = None
    if page.cursor:
        position = read_cursor(digest, page.cursor, order.key_type)
        wanted = rows.where(after(order, position, connection.dialect.name))
    else:
        ids = rows.with_only_columns(order.id_column).order_by(None)
        total = totals.total(connection, ids, list_digest(table_name, filter_digest))
        wanted = rows.offset(page.number * page.size)
    # Not what is counted: which index holds the least of all that is needed is another question.
    wanted = _by_index(wanted, order).order_by(*directed(order)).limit(page.size + 1)
    found = connection.execute(wanted).mappings().all()
    next_cursor = ""
    if len(found) > page.size:
        last = found[page.size - 1]
        position = Position(last[order.column.name], last[order.id_column.name])
        next_cursor = write_cursor(digest, position)
    place = paging_pb2.PageResult(total=total, next_cursor=next_cursor)
    return Found(found[: page.size], place)


def walked(order: Order, fixed: Collection[ColumnElement[Any]] = ()) -> Order:
    """Have MySQL walk the index that begins with the fixed columns and goes on in this order.

    The fixed columns are those that have one value in all of the rows. Left to itself MariaDB may
    enter such an index by them alone, and a page by cursor then costs what all pages before it
    cost. Without such an index the order stays as it is.
    """
    beginning = {column.name for column in fixed}
    for index in order.column.table.indexes:
        *first, column, id_column = index.columns.keys()
        is_sorted = (column, id_column) == (order.column.name, order.id_column.name)
        if is_sorted and set(first) == beginning:
            return replace(order, index=str(index.name))
    return order


def _by_index(rows: Select[Any], order: Order) -> Select[Any]:
    if order.index:
        for dialect in MYSQL_DIALECTS:
            rows = rows.with_hint(order.column.table, f"FORCE INDEX ({order.index})", dialect)
    return rows


def directed(order: Order) -> list[Any]:
    """Return the columns to sort by, with their direction."""
    columns = [order.column] if order.unique else [order.column, order.id_column]
    return [column.desc() if order.descending else column.asc() for column in columns]


def after(order: Order, position: Position, dialect_name: str) -> ColumnElement[bool]:
    """Return the condition that holds for the rows behind a position.

    An index can be entered by it at the position itself, however many rows have the same key: each
    database understands one way to say so, and reads all of them by the other's.
    """
    beyond: Callable[[Any, Any], ColumnElement[bool]] = lt if order.descending else gt
    key, id_column = order.column, order.id_column
    if order.unique:
        return beyond(key, position.key)
    if dialect_name in MYSQL_DIALECTS:
        same_key = and_(key == position.key, beyond(id_column, position.id))
        return or_(same_key, beyond(key, position.key))
    # sqlite.org/rowvalue.html, section 3.1.
    place = tuple_(literal(position.key, key.type), literal(position.id, id_column.type))
    return beyond(tuple_(key, id_column), place)
