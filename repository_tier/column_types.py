"""Column types that mean the same on MySQL, MariaDB and SQLite."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import BINARY, DateTime, LargeBinary, String, Text
from sqlalchemy.dialects.mysql import DATETIME, MEDIUMBLOB, MEDIUMTEXT
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

MYSQL_DIALECTS = ("mysql", "mariadb")

# InnoDB takes index keys of 3072 bytes: four a character, and an id beside it.
MAX_SORT_KEY_CHARACTERS = 760
# And a status besides. A name of 255 characters that is folded is seldom longer than it was.
MAX_PRODUCT_NAME_KEY_CHARACTERS = 512


class UuidColumn(TypeDecorator[str]):
    """A UUID: a string in canonical form here, 16 bytes in the database."""

    impl = BINARY(16)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[bytes]:
        """Return BINARY(16), or a BLOB where there is nothing better."""
        if dialect.name in MYSQL_DIALECTS:
            return dialect.type_descriptor(BINARY(16))
        return dialect.type_descriptor(LargeBinary(16))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Return the 16 bytes of an id."""
        del dialect
        return None if value is None else UUID(value).bytes

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Return the canonical form of an id."""
        del dialect
        if value is None:
            return None
        # By hand: a UUID object in between takes five times as long, for each row of a list.
        digits = bytes(value).hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class Sha256Column(TypeDecorator[bytes]):
    """A SHA-256: 32 bytes."""

    impl = BINARY(32)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[bytes]:
        """Return BINARY(32), or a BLOB where there is nothing better."""
        if dialect.name in MYSQL_DIALECTS:
            return dialect.type_descriptor(BINARY(32))
        return dialect.type_descriptor(LargeBinary(32))


class UtcDateTime(TypeDecorator[datetime]):
    """A moment to the microsecond, aware and in UTC on this side, DATETIME(6) on the other."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """Return DATETIME(6); SQLite keeps text that sorts as time does."""
        if dialect.name in MYSQL_DIALECTS:
            return dialect.type_descriptor(DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment in UTC, without the zone that no column can hold.

        Raises:
            ValueError: the datetime is naive.
        """
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A datetime without a time zone cannot be stored.")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment with its zone."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


def exact_text(length: int) -> String:
    """Return text that is compared character by character.

    MySQL's default collation takes ONE for öne, which must be two e-mail addresses.
    """
    return String(length).with_variant(String(length, collation="utf8mb4_bin"), *MYSQL_DIALECTS)


def word(length: int) -> String:
    """Return text of ASCII only, such as an enum's value, compared character by character."""
    return String(length).with_variant(String(length, collation="ascii_bin"), *MYSQL_DIALECTS)


def long_ascii() -> Text:
    """Return text of ASCII only, of up to 16 MiB."""
    return Text().with_variant(MEDIUMTEXT(collation="ascii_bin"), *MYSQL_DIALECTS)


def large_bytes() -> LargeBinary:
    """Return bytes of more than the 64 KiB of MySQL's BLOB, up to 16 MiB."""
    return LargeBinary().with_variant(MEDIUMBLOB, *MYSQL_DIALECTS)
