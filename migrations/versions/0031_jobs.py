"""The table of jobs."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import UtcDateTime, UuidColumn, exact_text, large_bytes, word

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    create_table(
        "jobs",
        sa.Column("id", UuidColumn, nullable=False),
        sa.Column("name", word(64), nullable=False),
        sa.Column("unique_key", word(255)),
        sa.Column("status", word(16), nullable=False),
        sa.Column("payload", large_bytes(), nullable=False),
        sa.Column("checkpoint", sa.LargeBinary(65535), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("last_attempt", sa.Integer, nullable=False),
        sa.Column("progress_done", sa.BigInteger),
        sa.Column("progress_total", sa.BigInteger),
        sa.Column("error_code", word(64)),
        sa.Column("error_message", exact_text(1000)),
        sa.Column("result", sa.LargeBinary(65535), nullable=False),
        sa.Column("lease_id", UuidColumn),
        sa.Column("lease_expire_time", UtcDateTime),
        sa.Column("published_time", UtcDateTime),
        sa.Column("due_time", UtcDateTime, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_time", UtcDateTime, nullable=False),
        sa.Column("started_time", UtcDateTime),
        sa.Column("finished_time", UtcDateTime),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("unique_key", name="uq_jobs_unique_key"),
    )
