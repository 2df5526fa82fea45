"""Brings a database to the newest revision."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from repository_tier.engine import begin_immediate, prepare_sqlite, sqlite_file
from repository_tier.mysql_connection import connect_by_pymysql
from repository_tier.revisions import (
    current_revision,
    is_known,
    migrations_folder,
    reason,
    required_revision,
    shown_url,
)
from repository_tier.settings import RepositorySettings
from tier_runtime.logs import configure_logging, get_logger
from tier_runtime.secrets import make_private_folder
from tier_runtime.settings import load
from tier_runtime.startup import StartupError

# How long one start waits for another that is migrating the same database.
LOCK_SECONDS = 60
CONNECT_SECONDS = 5
# One statement of a migration may be silent for this long.
IO_SECONDS = 600
# A DDL statement waits at most this long for the transactions that use its table.
METADATA_LOCK_SECONDS = 10

_PAUSE_SECONDS = 0.05
_log = get_logger(__name__)


def migrate(database_url: str) -> None:
    """Bring the database to the newest revision; nothing happens if it is there.

    Several may run at once: one works and the others wait. After a failure it can simply be run
    again.

    Raises:
        StartupError: the database does not answer, or another migration does not end.
    """
    file = sqlite_file(database_url)
    try:
        if file is not None:
            _make_private(file)
        alone = _alone_on_mysql if file is None else _alone_on_sqlite
        with alone(make_url(database_url)) as connection:
            _upgrade(connection)
    except OSError as error:
        raise StartupError(f"Cannot make {file}: {error.strerror}.") from error
    except SQLAlchemyError as error:
        raise StartupError(
            f"Cannot migrate the database {shown_url(database_url)}: {reason(error)}"
        ) from error


def _make_private(file: Path) -> None:
    """Make the file of a new database, which will hold password hashes, for its owner only.

    SQLite gives the files that it puts beside it the same mode.
    """
    make_private_folder(file.parent)
    # One that is there is not opened: closing it would take away all locks that this process has
    # on it, and others could then pull the database from under its connections
    # (sqlite.org/howtocorrupt.html, section 2.2).
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def main() -> int:
    """Migrate the database that the settings name."""
    settings = load(RepositorySettings)
    configure_logging("repository", settings.log_level, json=settings.log_json)
    # It would tell each of its steps; what matters of them is told here.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    migrate(settings.database())
    return 0


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", migrations_folder().replace("%", "%%"))
    return config


def _upgrade(connection: Connection) -> None:
    target = required_revision()
    before = current_revision(connection)
    if before is not None and not is_known(before):
        raise StartupError(
            f"The database is at revision {before}, which a newer Arcana has made; this one "
            f"knows those up to {target}."
        )
    if connection.dialect.name != "sqlite":
        # Alembic leaves committing to us if it finds a transaction that has begun.
        connection.commit()
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if before != target:
        _log.info("database_migrated", revision_before=before or "none", revision=target)


@contextmanager
def _alone_on_mysql(url: URL) -> Iterator[Connection]:
    engine = create_engine(
        url,
        poolclass=NullPool,
        connect_args={
            "charset": "utf8mb4",
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": IO_SECONDS,
            "write_timeout": IO_SECONDS,
            "init_command": f"SET SESSION lock_wait_timeout = {METADATA_LOCK_SECONDS}, "
            "SESSION time_zone = '+00:00', SESSION sql_mode = 'TRADITIONAL'",
        },
    )
    connect_by_pymysql(engine)
    # A name is at most 64 characters long, and known to the whole server.
    name = f"arcana.migrate.{url.database}"[:64]
    with engine.connect() as connection:
        got = connection.exec_driver_sql("SELECT GET_LOCK(%s, %s)", (name, LOCK_SECONDS)).scalar()
        connection.commit()
        if got != 1:
            raise StartupError(f"Another migration has not ended within {LOCK_SECONDS} s.")
        # Closing the connection, which NullPool does for good, gives the lock back.
        yield connection


@contextmanager
def _alone_on_sqlite(url: URL) -> Iterator[Connection]:
    engine = create_engine(url, poolclass=NullPool)
    event.listen(engine, "connect", _prepare_to_migrate)
    # The first statement takes the write lock and waits for it. All of the migration is then
    # one transaction, because SQLite's DDL is part of it.
    event.listen(engine, "begin", begin_immediate)
    with engine.connect() as connection, connection.begin():
        yield connection


def _prepare_to_migrate(dbapi_connection: Any, _entry: ConnectionPoolEntry) -> None:
    prepare_sqlite(dbapi_connection)
    dbapi_connection.execute(f"PRAGMA busy_timeout = {LOCK_SECONDS * 1000}")
    ends = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            # WAL is a property of the file: readers then go on while somebody writes.
            dbapi_connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # For this statement alone SQLite does not wait by itself.
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() >= ends:
                raise
            time.sleep(_PAUSE_SECONDS)
