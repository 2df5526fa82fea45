"""The table of files."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import Sha256Column, UtcDateTime, UuidColumn, exact_text, word

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    create_table(
        "files",
        sa.Column("id", UuidColumn, nullable=False),
        sa.Column("filename", exact_text(255), nullable=False),
        sa.Column("content_type", word(100), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", Sha256Column, nullable=False),
        sa.Column("uploaded_by", UuidColumn, nullable=False),
        sa.Column("state", word(16), nullable=False),
        sa.Column("created_time", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
    )
