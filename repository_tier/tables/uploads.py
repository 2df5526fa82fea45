"""Files as they are listed, and how much each user has of them; their bytes are elsewhere."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Table

from repository_tier.column_types import Sha256Column, UtcDateTime, UuidColumn, exact_text, word
from repository_tier.tables.schema import TABLE_OPTIONS, metadata

# A file is there while it is `stored`. `storing` and `deleting` lead there and from there, and what
# a crash leaves in them is swept. A file outlives the user who uploaded it: so no foreign key.
files = Table(
    "files",
    metadata,
    # Also the name of its bytes in the blob store.
    Column("id", UuidColumn, primary_key=True),
    Column("filename", exact_text(255), nullable=False),
    Column("content_type", word(100), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Sha256Column, nullable=False),
    Column("uploaded_by", UuidColumn, nullable=False),
    Column("state", word(16), nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    Index("ix_files_state_created_time_id", "state", "created_time", "id"),
    Index(
        "ix_files_state_uploaded_by_created_time_id", "state", "uploaded_by", "created_time", "id"
    ),
    **TABLE_OPTIONS,
)

# What a user's files that are stored, or about to be, are together. It saves counting them, and its
# row is what uploads of one user wait for each other by.
file_usage = Table(
    "file_usage",
    metadata,
    Column("user_id", UuidColumn, primary_key=True),
    Column("total_bytes", BigInteger, nullable=False),
    # The last line of defence: no statement of ours can get here.
    CheckConstraint("total_bytes >= 0", name="total_bytes"),
    **TABLE_OPTIONS,
)
