"""Sessions, and the tokens that go on with one or are used once."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Table

from repository_tier.column_types import Sha256Column, UtcDateTime, UuidColumn, exact_text, word
from repository_tier.tables.schema import TABLE_OPTIONS, metadata

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
    Index("ix_sessions_expire_time", "expire_time"),
    Index("ix_sessions_created_time", "created_time"),
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
    Index("ix_refresh_tokens_expire_time", "expire_time"),
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
    Index("ix_one_time_tokens_expire_time", "expire_time"),
    **TABLE_OPTIONS,
)
