"""The table of users."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import UtcDateTime, UuidColumn, exact_text, word

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_table(
        "users",
        sa.Column("id", UuidColumn, nullable=False),
        sa.Column("email", exact_text(254), nullable=False),
        sa.Column("email_key", exact_text(760), nullable=False),
        sa.Column("name", exact_text(255), nullable=False),
        sa.Column("name_key", exact_text(760), nullable=False),
        sa.Column("status", word(16), nullable=False),
        sa.Column("email_verified", sa.Boolean, nullable=False),
        sa.Column("password_hash", word(255), nullable=False),
        sa.Column("credential_version", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_time", UtcDateTime, nullable=False),
        sa.Column("updated_time", UtcDateTime, nullable=False),
        sa.Column("last_login_time", UtcDateTime),
        sa.Column("roles_changed_time", UtcDateTime),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email_key", name="uq_users_email_key"),
    )
