"""Inserting what may be there already, in the words of either dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import mysql, sqlite

from repository_tier.column_types import MYSQL_DIALECTS


def insert_new(
    connection: Connection, table: Table, values: Mapping[str, Any], *, key: str
) -> None:
    """Insert a row, or leave the row that has its unique key as it is.

    Waits for another transaction that is inserting the same key. After it, on MySQL, the row
    is locked by this transaction: a plain INSERT that finds a duplicate leaves a shared lock,
    and two of those on one row deadlock as soon as they want to change it.
    """
    if connection.dialect.name in MYSQL_DIALECTS:
        insertion = mysql.insert(table).values(**values)
        connection.execute(insertion.on_duplicate_key_update({key: table.c[key]}))
    else:
        connection.execute(sqlite.insert(table).values(**values).on_conflict_do_nothing())


def insert_all_new(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, key: str
) -> None:
    """Insert rows by one statement, and leave those that have a unique key of theirs; see above."""
    if not rows:
        return
    if connection.dialect.name in MYSQL_DIALECTS:
        insertion = mysql.insert(table).values(list(rows))
        connection.execute(insertion.on_duplicate_key_update({key: table.c[key]}))
    else:
        connection.execute(sqlite.insert(table).values(list(rows)).on_conflict_do_nothing())
