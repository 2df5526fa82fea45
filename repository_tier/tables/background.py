"""Jobs, and the reports that one of them makes."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table

from repository_tier.column_types import UtcDateTime, UuidColumn, exact_text, large_bytes, word
from repository_tier.tables.schema import TABLE_OPTIONS, metadata

jobs = Table(
    "jobs",
    metadata,
    Column("id", UuidColumn, primary_key=True),
    Column("name", word(64), nullable=False),
    Column("unique_key", word(255), unique=True),
    Column("status", word(16), nullable=False),
    # What it is to be done with, and where its last attempt stopped: the service tier's own.
    Column("payload", large_bytes(), nullable=False),
    Column("checkpoint", LargeBinary(65535), nullable=False),
    # How often it was begun, how often it may be by one enqueueing, and at which it is given up.
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("last_attempt", Integer, nullable=False),
    Column("progress_done", BigInteger),
    Column("progress_total", BigInteger),
    Column("error_code", word(64)),
    Column("error_message", exact_text(1000)),
    # A JSON object.
    Column("result", LargeBinary(65535), nullable=False),
    # Whose it is while it runs; kept after that, to know a second call again.
    Column("lease_id", UuidColumn),
    Column("lease_expire_time", UtcDateTime),
    # The span, as a W3C traceparent, in whose trace it runs.
    Column("traceparent", word(55)),
    # When its id was handed to the broker. Null: it is to be.
    Column("published_time", UtcDateTime),
    Column("due_time", UtcDateTime, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    Column("started_time", UtcDateTime),
    Column("finished_time", UtcDateTime),
    Index("ix_jobs_created_time_id", "created_time", "id"),
    Index("ix_jobs_status_created_time_id", "status", "created_time", "id"),
    Index("ix_jobs_name_created_time_id", "name", "created_time", "id"),
    Index("ix_jobs_name_status_created_time_id", "name", "status", "created_time", "id"),
    Index("ix_jobs_status_published_time_due_time", "status", "published_time", "due_time"),
    Index("ix_jobs_status_lease_expire_time", "status", "lease_expire_time"),
    Index("ix_jobs_status_finished_time", "status", "finished_time"),
    **TABLE_OPTIONS,
)

daily_reports = Table(
    "daily_reports",
    metadata,
    # As `2026-11-30`.
    Column("date", word(10), primary_key=True),
    # The arcana.repository.v1.DailyReport, serialized.
    Column("body", large_bytes(), nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    **TABLE_OPTIONS,
)
