"""Connections to the database: two pools, one for reads and one for writes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.dialects.mysql.base import MySQLDialect
from sqlalchemy.engine import URL, Connection
from sqlalchemy.pool import ConnectionPoolEntry

from repository_tier.mysql_connection import connect_by_pymysql
from repository_tier.store_spans import trace_statements
from tier_runtime.deadline import Deadline
from tier_runtime.tracing.spans import NO_TRACING, Tracing

# How long MySQL lets a transaction wait for a row, and SQLite a writer for the file.
LOCK_WAIT_SECONDS = 2
SQLITE_BUSY_SECONDS = 1
# How long a writer waits for the writers before it in this process; each takes milliseconds.
SQLITE_QUEUE_SECONDS = 3.0
# Below the hour or less after which servers and firewalls drop a silent connection.
RECYCLE_SECONDS = 300

# The execution option that tells a connection when nobody waits any more.
DEADLINE_OPTION = "arcana_deadline"


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """Sizes and patience of the pools; times are in seconds."""

    size: int
    wait_seconds: float
    connect_seconds: int
    io_seconds: float


@dataclass(frozen=True, slots=True)
class Engines:
    """The two pools. A read needs no transaction, and saves two round trips without one."""

    readers: Engine
    writers: Engine

    def close(self) -> None:
        """Close all connections that are not in use."""
        self.readers.dispose()
        self.writers.dispose()


def make_engines(database_url: str, pool: PoolSettings, tracing: Tracing = NO_TRACING) -> Engines:
    """Return both pools; nothing is connected yet."""
    url = make_url(database_url)
    is_sqlite = url.get_backend_name() == "sqlite"
    engines = _sqlite_engines(url, pool) if is_sqlite else _mysql_engines(url, pool)
    if tracing.is_on:
        for engine in (engines.readers, engines.writers):
            trace_statements(engine, tracing)
    return engines


def sqlite_file(database_url: str) -> Path | None:
    """Return the file that the database is in, None for a database on a server."""
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    return Path(url.database)


def prepare_sqlite(dbapi_connection: Any, _entry: ConnectionPoolEntry | None = None) -> None:
    """Set up a new connection to SQLite."""
    # The driver must not begin transactions by its own rules: BEGIN IMMEDIATE is ours to say.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA foreign_keys = ON")
    # In WAL mode a power cut may take the last commits with it, but never half of one.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def begin_immediate(connection: Connection) -> None:
    """Begin a SQLite transaction with its write lock.

    A transaction that begins as a reader and then writes fails at once when somebody else has
    written in between; waiting does not help it.
    """
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def deadline_of(connection: Connection) -> Deadline:
    """Return when nobody waits any more for the work on a connection of `Database`."""
    deadline: Deadline = connection.get_execution_options()[DEADLINE_OPTION]
    return deadline


def _sqlite_engines(url: URL, pool: PoolSettings) -> Engines:
    shared: dict[str, Any] = {
        "connect_args": {"check_same_thread": False},
        "max_overflow": 0,
        "hide_parameters": True,
    }
    readers = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=pool.size,
        pool_timeout=pool.wait_seconds,
        pool_reset_on_return=None,
        **shared,
    )
    # SQLite has one writer at a time. A pool of one is a queue with a bounded wait; the file's
    # own lock, which is polled, then only has to keep out other processes.
    writers = create_engine(url, pool_size=1, pool_timeout=SQLITE_QUEUE_SECONDS, **shared)
    for engine in (readers, writers):
        event.listen(engine, "connect", prepare_sqlite)
    event.listen(writers, "begin", begin_immediate)
    return Engines(readers, writers)


def _mysql_engines(url: URL, pool: PoolSettings) -> Engines:
    shared: dict[str, Any] = {
        "connect_args": {
            "charset": "utf8mb4",
            "connect_timeout": pool.connect_seconds,
            # Without these the drivers wait for a paused server for ever. mysqlclient takes whole
            # seconds only.
            "read_timeout": math.ceil(pool.io_seconds),
            "write_timeout": math.ceil(pool.io_seconds),
            "init_command": "SET SESSION time_zone = '+00:00', SESSION sql_mode = 'TRADITIONAL', "
            f"SESSION innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS}",
        },
        "pool_size": pool.size,
        "max_overflow": 0,
        "pool_timeout": pool.wait_seconds,
        "pool_recycle": RECYCLE_SECONDS,
        # Parameters hold e-mail addresses and hashes, and the text of errors is logged.
        "hide_parameters": True,
    }
    readers = create_engine(url, isolation_level="AUTOCOMMIT", pool_reset_on_return=None, **shared)
    # Under READ COMMITTED a transaction that waited for a lock then reads what the one before it
    # wrote, and InnoDB locks rows, not the gaps between them, so there are fewer deadlocks.
    writers = create_engine(url, isolation_level="READ COMMITTED", **shared)
    for engine in (readers, writers):
        connect_by_pymysql(engine)
        event.listen(engine, "before_cursor_execute", _bound_by_deadline, retval=True)
    return Engines(readers, writers)


def _bound_by_deadline(
    connection: Connection,
    _cursor: Any,
    statement: str,
    parameters: Any,
    _context: Any,
    _executemany: bool,
) -> tuple[str, Any]:
    """Tell the server to give a SELECT up when nobody waits for it any more."""
    deadline: Deadline | None = connection.get_execution_options().get(DEADLINE_OPTION)
    if deadline is None or not statement.startswith("SELECT "):
        return statement, parameters
    milliseconds = max(int(deadline.remaining() * 1000), 1)
    if isinstance(connection.dialect, MySQLDialect) and connection.dialect.is_mariadb:
        bound = f"SET STATEMENT max_statement_time={milliseconds / 1000} FOR {statement}"
    else:
        hint = f"/*+ MAX_EXECUTION_TIME({milliseconds}) */"
        bound = f"SELECT {hint} {statement.removeprefix('SELECT ')}"
    return bound, parameters
