"""The full-text index over it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

# Keeps what it indexes in `product_search` only (sqlite.org/fts5.html, external content tables).
_SQLITE_INDEX = """
CREATE VIRTUAL TABLE IF NOT EXISTS product_search_index USING fts5(
    words, content='product_search', content_rowid='position', tokenize='ascii'
)
"""
_ADD = "INSERT INTO product_search_index (rowid, words) VALUES (new.position, new.words);"
_REMOVE = """
INSERT INTO product_search_index (product_search_index, rowid, words)
VALUES ('delete', old.position, old.words);
"""
_TRIGGERS = {"insert": _ADD, "delete": _REMOVE, "update": _REMOVE + _ADD}


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        op.execute(_SQLITE_INDEX)
        for event, statements in _TRIGGERS.items():
            op.execute(
                f"CREATE TRIGGER IF NOT EXISTS product_search_{event} AFTER {event} "
                f"ON product_search BEGIN {statements} END"
            )
        # Of rows that were there before it.
        op.execute("INSERT INTO product_search_index (product_search_index) VALUES ('rebuild')")
        return
    there = {index["name"] for index in sa.inspect(connection).get_indexes("product_search")}
    if "ix_product_search_words" not in there:
        op.execute("ALTER TABLE product_search ADD FULLTEXT INDEX ix_product_search_words (words)")
