"""Users, their roles and their profiles."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Table

from repository_tier.column_types import (
    MAX_SORT_KEY_CHARACTERS,
    UtcDateTime,
    UuidColumn,
    exact_text,
    word,
)
from repository_tier.tables.schema import TABLE_OPTIONS, metadata

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
    # Whether the external directory has heard of this version.
    Column("sync_status", word(16), nullable=False, server_default="pending"),
    Index("ix_users_created_time_id", "created_time", "id"),
    Index("ix_users_updated_time_id", "updated_time", "id"),
    Index("ix_users_name_key_id", "name_key", "id"),
    Index("ix_users_roles_changed_time_id", "roles_changed_time", "id"),
    Index("ix_users_sync_status_id", "sync_status", "id"),
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
