from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, MetaData, Table, create_engine, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.exc import StatementError
from sqlalchemy.schema import CreateTable

from repository_tier.column_types import Sha256Column, UtcDateTime, UuidColumn, exact_text, word

ID = "01920000-0000-7000-8000-0000000000ab"
TABLE = Table(
    "things",
    MetaData(),
    Column("id", UuidColumn, primary_key=True),
    Column("digest", Sha256Column),
    Column("moment", UtcDateTime),
    Column("name", exact_text(10)),
    Column("kind", word(10)),
)


def kept(**values: object) -> tuple[object, ...]:
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            TABLE.create(connection)
            connection.execute(TABLE.insert().values(**{"id": ID} | values))
            return tuple(connection.execute(select(TABLE)).one())
    finally:
        engine.dispose()


def test_values_come_back_as_they_went_in() -> None:
    moment = datetime(2026, 11, 21, 4, 0, 0, 123456, tzinfo=UTC)
    values = (ID, b"\x00" * 32, moment, "ada", "user")
    assert kept(digest=values[1], moment=moment, name="ada", kind="user") == values


def test_nothing_comes_back_as_nothing() -> None:
    assert kept() == (ID, None, None, None, None)


def test_a_moment_of_another_zone_comes_back_in_utc() -> None:
    moment = datetime(2026, 11, 21, 5, 0, tzinfo=timezone(timedelta(hours=1)))
    found = kept(moment=moment)[2]
    assert found == moment
    assert isinstance(found, datetime)
    assert found.tzinfo is UTC


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(StatementError, match="without a time zone"):
        kept(moment=datetime(2026, 11, 21))  # noqa: DTZ001 - naive on purpose


def test_mysql_gets_its_own_types() -> None:
    ddl = str(CreateTable(TABLE).compile(dialect=mysql.dialect()))
    assert "id BINARY(16)" in ddl
    assert "digest BINARY(32)" in ddl
    assert "moment DATETIME(6)" in ddl
    assert "name VARCHAR(10) COLLATE utf8mb4_bin" in ddl
    assert "kind VARCHAR(10) COLLATE ascii_bin" in ddl


def test_sqlite_gets_types_that_it_knows() -> None:
    ddl = str(CreateTable(TABLE).compile(dialect=sqlite.dialect()))
    assert "id BLOB" in ddl
    assert "digest BLOB" in ddl
    assert "moment DATETIME" in ddl
