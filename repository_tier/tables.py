"""The tables as they are at the newest revision; `migrations/` gets a database there.

A test compares the two. Text is in Unicode NFC; `…_key` columns hold the case-folded form.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
)

from repository_tier.column_types import (
    MAX_SORT_KEY_CHARACTERS,
    Sha256Column,
    UtcDateTime,
    UuidColumn,
    exact_text,
    word,
)

# What every table says to MySQL; SQLite ignores it.
TABLE_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

users = Table(
    "users",
    metadata,
    Column("id", UuidColumn, primary_key=True),
    Column("email", exact_text(254), nullable=False),
    Column("email_key", exact_text(MAX_SORT_KEY_CHARACTERS), nullable=False, unique=True),
    Column("name", exact_text(255), nullable=False),
    Column("name_key", exact_text(MAX_SORT_KEY_CHARACTERS), nullable=False),
    Column("status", word(16), nullable=False),
    Column("email_verified", Boolean, nullable=False),
    Column("password_hash", word(255), nullable=False),
    Column("credential_version", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    Column("updated_time", UtcDateTime, nullable=False),
    Column("last_login_time", UtcDateTime),
    # When the roles were last replaced; the feed of access changes walks it.
    Column("roles_changed_time", UtcDateTime),
    Index("ix_users_created_time_id", "created_time", "id"),
    Index("ix_users_updated_time_id", "updated_time", "id"),
    Index("ix_users_name_key_id", "name_key", "id"),
    Index("ix_users_roles_changed_time_id", "roles_changed_time", "id"),
    **TABLE_OPTIONS,
)

roles = Table(
    "roles",
    metadata,
    Column("name", word(32), primary_key=True),
    **TABLE_OPTIONS,
)

user_roles = Table(
    "user_roles",
    metadata,
    Column("user_id", UuidColumn, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role", word(32), ForeignKey("roles.name"), primary_key=True),
    Index("ix_user_roles_role_user_id", "role", "user_id"),
    **TABLE_OPTIONS,
)

user_profiles = Table(
    "user_profiles",
    metadata,
    Column("user_id", UuidColumn, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("avatar_url", exact_text(500), nullable=False),
    Column("bio", exact_text(1000), nullable=False),
    Column("phone", exact_text(16), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("updated_time", UtcDateTime, nullable=False),
    **TABLE_OPTIONS,
)

# A session outlives its user, ended, until its access tokens are past: so no foreign key.
sessions = Table(
    "sessions",
    metadata,
    Column("id", UuidColumn, primary_key=True),
    Column("user_id", UuidColumn, nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    Column("refreshed_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
    Column("ended_time", UtcDateTime),
    Column("client_address", exact_text(45), nullable=False),
    Column("user_agent", exact_text(255), nullable=False),
    Index("ix_sessions_user_id_created_time_id", "user_id", "created_time", "id"),
    Index("ix_sessions_ended_time_id", "ended_time", "id"),
    **TABLE_OPTIONS,
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token_sha256", Sha256Column, primary_key=True),
    Column("session_id", UuidColumn, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
    # When it was traded for its successor.
    Column("used_time", UtcDateTime),
    Index("ix_refresh_tokens_session_id", "session_id"),
    **TABLE_OPTIONS,
)

one_time_tokens = Table(
    "one_time_tokens",
    metadata,
    Column("id", UuidColumn, primary_key=True),
    Column("token_sha256", Sha256Column, nullable=False, unique=True),
    Column("purpose", word(32), nullable=False),
    # Null for a decoy, which nothing can use.
    Column("user_id", UuidColumn, ForeignKey("users.id", ondelete="CASCADE")),
    Column("created_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
    # When it was used, or lost its use.
    Column("used_time", UtcDateTime),
    Index("ix_one_time_tokens_user_id_purpose", "user_id", "purpose"),
    **TABLE_OPTIONS,
)

outbox_events = Table(
    "outbox_events",
    metadata,
    # SQLite makes only an INTEGER key count by itself.
    Column(
        "position",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("id", UuidColumn, nullable=False, unique=True),
    Column("type", word(64), nullable=False),
    Column("aggregate_type", word(64), nullable=False),
    Column("aggregate_id", exact_text(64), nullable=False),
    # The whole arcana.common.v1.DomainEvent, serialized: what consumers get, byte for byte.
    Column("body", LargeBinary(65535), nullable=False),
    Column("occurred_time", UtcDateTime, nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    # Without it SQLite gives a position again after its event was removed.
    sqlite_autoincrement=True,
    **TABLE_OPTIONS,
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    # SHA-256 of scope and key: MySQL compares text without its trailing spaces.
    Column("key_sha256", Sha256Column, primary_key=True),
    Column("scope", exact_text(255), nullable=False),
    Column("fingerprint", Sha256Column, nullable=False),
    # The serialized answer. Null only inside the transaction that makes it.
    Column("response", LargeBinary(65535)),
    Column("expire_time", UtcDateTime, nullable=False),
    Index("ix_idempotency_keys_expire_time", "expire_time"),
    **TABLE_OPTIONS,
)
