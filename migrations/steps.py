"""The steps that revisions are made of. Each does nothing where it has been done before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

MYSQL_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}


def create_table(name: str, *items: SchemaItem, **options: Any) -> None:
    """Create a table with its keys and constraints; indexes are a revision of their own."""
    op.create_table(name, *items, if_not_exists=True, **MYSQL_OPTIONS, **options)


def add_indexes(table: str, indexes: Mapping[str, Sequence[str]]) -> None:
    """Add the indexes that the table does not have, on MySQL by one statement."""
    connection = op.get_bind()
    there = {index["name"] for index in sa.inspect(connection).get_indexes(table)}
    missing = {name: columns for name, columns in indexes.items() if name not in there}
    if not missing:
        return
    if connection.dialect.name == "sqlite":
        # SQLite's DDL is part of the transaction, so several statements are as good as one.
        for name, columns in missing.items():
            op.create_index(name, table, list(columns))
        return
    quote = connection.dialect.identifier_preparer.quote
    added = ", ".join(
        f"ADD INDEX {quote(name)} ({', '.join(quote(column) for column in columns)})"
        for name, columns in missing.items()
    )
    op.execute(f"ALTER TABLE {quote(table)} {added}")
