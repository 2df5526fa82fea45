"""What the databases' errors mean, in the words of either dialect."""

from __future__ import annotations

import re
import sqlite3

from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tier_runtime.deadline import deadline_exceeded
from tier_runtime.errors import AppError, Kind

RETRY_AFTER_SECONDS = 1.0

# dev.mysql.com/doc/mysql-errs and mariadb.com/kb/en/mariadb-error-codes.
_DUPLICATE = 1062
_LOCK_WAIT_TIMEOUT = 1205
_DEADLOCK = 1213
# The statement's own time was over: MySQL, MariaDB.
_STATEMENT_TIMEOUTS = frozenset({3024, 1969})
_MYSQL_UNAVAILABLE = frozenset(
    {
        1021,  # The disk is full.
        1040,  # Too many connections.
        1044,  # Access denied: an operator's business, and no fault of the request.
        1045,
        1049,  # No such database.
        1053,  # The server is shutting down.
        1203,  # This user has too many connections.
        _LOCK_WAIT_TIMEOUT,
        _DEADLOCK,
        1290,  # The server is read only, as a replica is after a failover.
        1317,  # Somebody killed the statement,
        1927,  # or, on MariaDB, the connection.
        1836,
        2002,  # Cannot connect.
        2003,
        2006,  # The connection was lost.
        2013,
        2014,
        2055,
        3169,  # The session was killed.
    }
)
# The low byte of SQLite's result codes, sqlite.org/rescode.html.
_SQLITE_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)
# The value comes first and may hold anything, so the key is read from the end.
_MYSQL_KEY = re.compile(r"for key '(?:[^'.]*\.)?([^'.]+)'$")
_SQLITE_COLUMNS = re.compile(r"UNIQUE constraint failed: (.+)")


def app_error_of(error: SQLAlchemyError) -> AppError | None:
    """Return what the caller is told, or None when the error is a fault of ours."""
    if isinstance(error, PoolTimeoutError):
        return unavailable()
    if not isinstance(error, DBAPIError):
        return None
    number = _mysql_number(error)
    if number in _STATEMENT_TIMEOUTS:
        return deadline_exceeded()
    code = _sqlite_code(error)
    if (
        error.connection_invalidated
        or number in _MYSQL_UNAVAILABLE
        or (code is not None and code & 0xFF in _SQLITE_UNAVAILABLE)
    ):
        return unavailable()
    return None


def unavailable() -> AppError:
    """Return the error of a database that is down or too busy."""
    return AppError(
        Kind.UNAVAILABLE,
        "SERVICE_UNAVAILABLE",
        "The database is not available.",
        retry_after=RETRY_AFTER_SECONDS,
    )


def is_deadlock(error: SQLAlchemyError) -> bool:
    """True when the database has rolled the transaction back to let another one go on."""
    return isinstance(error, DBAPIError) and _mysql_number(error) == _DEADLOCK


def is_lock_timeout(error: SQLAlchemyError) -> bool:
    """True when another transaction held a lock for too long."""
    return isinstance(error, DBAPIError) and _mysql_number(error) == _LOCK_WAIT_TIMEOUT


def is_dead_connection(error: SQLAlchemyError) -> bool:
    """True when the statement found its connection dead, or lost it."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def duplicates(error: IntegrityError, table: Table, *columns: str) -> bool:
    """True when a row of this table has these values of a unique key already."""
    if _mysql_number(error) == _DUPLICATE:
        found = _MYSQL_KEY.search(_text_of(error))
        return found is not None and found[1] == _key_name(table, columns)
    code = _sqlite_code(error)
    if code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
        found = _SQLITE_COLUMNS.search(_text_of(error))
        named = {f"{table.name}.{column}" for column in columns}
        return found is not None and set(found[1].split(", ")) == named
    return False


def _key_name(table: Table, columns: tuple[str, ...]) -> str:
    if set(columns) == set(table.primary_key.columns.keys()):
        return "PRIMARY"
    return f"uq_{table.name}_{'_'.join(columns)}"


def _text_of(error: DBAPIError) -> str:
    # Not str() of the driver's error: that quotes what it holds in one of two ways.
    return str(error.orig.args[-1]) if error.orig is not None and error.orig.args else ""


def _mysql_number(error: DBAPIError) -> int | None:
    if isinstance(error.orig, sqlite3.Error) or error.orig is None or not error.orig.args:
        return None
    number = error.orig.args[0]
    return number if isinstance(number, int) else None


def _sqlite_code(error: DBAPIError) -> int | None:
    # Errors that the driver makes by itself, such as "database is closed", have no code.
    return getattr(error.orig, "sqlite_errorcode", None)
