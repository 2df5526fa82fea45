"""Products found by words, and what they are found by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    func,
    insert,
    literal_column,
    select,
    table,
    update,
)
from sqlalchemy import column as named_column
from sqlalchemy.dialects import mysql

from arcana.repository.v1 import product_pb2
from repository_tier.cached_reads import CachedReads
from repository_tier.column_types import MYSQL_DIALECTS
from repository_tier.database import Database
from repository_tier.product_filters import ProductFilter, filtered
from repository_tier.product_rows import PRODUCT_COLUMNS
from repository_tier.search_words import SearchWords, indexed_words
from repository_tier.tables import product_search, products
from tier_runtime.deadline import Deadline

# SQLite's index, which is no table of `metadata`: revision 0026 makes it.
_SQLITE_INDEX = table("product_search_index", named_column("rowid", BigInteger))

# For each product wanted, so many of the best matches are looked at first. Most of them are not
# left out by a filter.
_LOOKED_AT = 5


class ProductSearch:
    """Finds products by words."""

    def __init__(self, database: Database, reads: CachedReads[product_pb2.Product]) -> None:
        self._database = database
        self._reads = reads

    def find(
        self, wanted: SearchWords, among: ProductFilter, limit: int, deadline: Deadline
    ) -> Sequence[bytes]:
        """Return products as serialized messages, each as it is now, best match first."""
        # To a full-text index the empty query is a mistake.
        if not wanted.words:
            return ()

        def found(columns: Iterable[ColumnElement[Any]]) -> Sequence[RowMapping]:
            rows = filtered(select(*columns), among).limit(limit)
            return self._database.read(
                deadline, lambda connection: _best_first(connection, rows, wanted, limit)
            )

        bodies = self._reads.current(found(self._reads.identifying_columns()), deadline)
        return self._reads.serialized(found(PRODUCT_COLUMNS)) if bodies is None else bodies


def insert_words(connection: Connection, product_id: str, words: str) -> None:
    """Write what a new product is found by."""
    connection.execute(insert(product_search).values(product_id=product_id, words=words))


def replace_words(connection: Connection, product: product_pb2.Product) -> None:
    """Write what a product that has changed is found by."""
    words = indexed_words(product.name, product.category, product.description)
    connection.execute(
        update(product_search)
        # Words that stay as they are need not be indexed again.
        .where(product_search.c.product_id == product.id, product_search.c.words != words)
        .values(words=words)
    )


def _best_first(
    connection: Connection, rows: Select[Any], wanted: SearchWords, limit: int
) -> Sequence[RowMapping]:
    """Return those of the rows, which are of products, that match."""
    matches = _on_mysql if connection.dialect.name in MYSQL_DIALECTS else _on_sqlite
    # A common word matches a good part of all products, and reading each of them to sort them costs
    # far more than the full-text index needs to tell which are the best.
    best = connection.execute(_joined(rows, matches(wanted).limit(limit * _LOOKED_AT)))
    found = best.mappings().all()
    if len(found) == limit:
        return found
    return connection.execute(_joined(rows, matches(wanted))).mappings().all()


def _joined(rows: Select[Any], matches: Select[Any]) -> Select[Any]:
    match = matches.subquery("matches")
    return rows.join_from(products, match, match.c.product_id == products.c.id).order_by(
        match.c.score, products.c.id
    )


def _on_mysql(wanted: SearchWords) -> Select[Any]:
    """Return the ids of all that matches and its score, best first; a lower one is better."""
    # dev.mysql.com/doc/refman/8.4/en/fulltext-boolean.html; the words hold no operator.
    required = " ".join([f"+{word}" for word in wanted.words])
    if wanted.last_is_beginning:
        required += "*"
    match = mysql.match(product_search.c.words, against=required).in_boolean_mode()
    # InnoDB gives them in this order by itself. Asked for it, MariaDB would read all of them first.
    return select(product_search.c.product_id, (-match).label("score")).where(match)


def _on_sqlite(wanted: SearchWords) -> Select[Any]:
    """Return the ids of all that matches and its score, best first; a lower one is better."""
    # sqlite.org/fts5.html: words side by side must all be there.
    required = " ".join(wanted.words)
    if wanted.last_is_beginning:
        required += "*"
    index: ColumnElement[Any] = literal_column(_SQLITE_INDEX.name)
    score = func.bm25(index).label("score")
    return (
        select(product_search.c.product_id, score)
        .join(_SQLITE_INDEX, _SQLITE_INDEX.c.rowid == product_search.c.position)
        .where(index.bool_op("MATCH")(required))
        .order_by(score, product_search.c.position)
    )
