"""What was answered to requests that may come again."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table

from repository_tier.column_types import Sha256Column, UtcDateTime, exact_text, large_bytes
from repository_tier.tables.schema import TABLE_OPTIONS, metadata

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    # SHA-256 of scope and key: MySQL compares text without its trailing spaces.
    Column("key_sha256", Sha256Column, primary_key=True),
    Column("scope", exact_text(255), nullable=False),
    Column("fingerprint", Sha256Column, nullable=False),
    # The serialized answer, such as an order of 100 lines. Null only inside the transaction that
    # makes it.
    Column("response", large_bytes()),
    Column("expire_time", UtcDateTime, nullable=False),
    Index("ix_idempotency_keys_expire_time", "expire_time"),
    **TABLE_OPTIONS,
)
