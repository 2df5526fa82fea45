"""Which revision of the tables a database has, and which one this build needs.

A tier asks at every start, so this knows no Alembic, which takes longer to import than to ask. A
migration's file begins with its revision's number, and Alembic's own table holds the database's.
"""

from __future__ import annotations

import importlib.resources
from functools import cache

from sqlalchemy import Connection, Engine, String, column, inspect, make_url, select, table
from sqlalchemy.exc import SQLAlchemyError

from repository_tier.engine import sqlite_file
from tier_runtime.logs import get_logger
from tier_runtime.startup import StartupError

_KEPT_BY_ALEMBIC = table("alembic_version", column("version_num", String))


def migrations_folder() -> str:
    """Return the folder of Alembic's environment."""
    # By its name, not by an import: migrations depend on this tier, not the other way round.
    return str(importlib.resources.files("migrations"))


def current_revision(connection: Connection) -> str | None:
    """Return the revision that the database has, None for one without tables."""
    if not inspect(connection).has_table(_KEPT_BY_ALEMBIC.name):
        return None
    return connection.scalar(select(_KEPT_BY_ALEMBIC.c.version_num))


@cache
def known_revisions() -> tuple[str, ...]:
    """Return the revisions of this build from the oldest to the newest; read once.

    Raises:
        StartupError: there are none.
    """
    files = (importlib.resources.files("migrations") / "versions").iterdir()
    found = sorted(
        file.name.partition("_")[0]
        for file in files
        if file.name.endswith(".py") and file.name[0].isdigit()
    )
    if not found:
        raise StartupError("This installation has no migrations.")
    return tuple(found)


def required_revision() -> str:
    """Return the newest revision, which this build was made for."""
    return known_revisions()[-1]


def is_known(revision: str) -> bool:
    """True when this build has the revision; a newer build may have brought others."""
    return revision in known_revisions()


def require_revision(engine: Engine, database_url: str) -> None:
    """Check that the database is at the revision that this build needs, or a newer one.

    Raises:
        StartupError: it is not, or does not answer.
    """
    where = shown_url(database_url)
    file = sqlite_file(database_url)
    try:
        # SQLite would make the file, or say no more than that it cannot.
        if file is not None and not file.exists():
            current = None
        else:
            with engine.connect() as connection:
                current = current_revision(connection)
    except SQLAlchemyError as error:
        raise StartupError(f"The database {where} does not answer: {reason(error)}") from error
    needed = required_revision()
    if current == needed:
        return
    # While a newer build is being rolled out, this one must be able to start again.
    if current is not None and not is_known(current):
        get_logger(__name__).warning("database_is_newer", revision=current, needed=needed)
        return
    raise StartupError(
        f"The database {where} is at revision {current or 'none'} and must be at {needed}: "
        "run `arcana migrate`."
    )


def shown_url(database_url: str) -> str:
    """Return the URL without its password."""
    return make_url(database_url).render_as_string(hide_password=True)


def reason(error: SQLAlchemyError) -> str:
    """Return in one line why the database refused, in the driver's words."""
    cause = getattr(error, "orig", None) or error
    arguments = cause.args if isinstance(cause, Exception) else ()
    words = str(arguments[-1]) if arguments else str(cause)
    return words.splitlines()[0] if words else type(cause).__name__
