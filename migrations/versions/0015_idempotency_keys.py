"""The answers of creations that may be asked for again."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import Sha256Column, UtcDateTime, exact_text

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    create_table(
        "idempotency_keys",
        sa.Column("key_sha256", Sha256Column, nullable=False),
        sa.Column("scope", exact_text(255), nullable=False),
        sa.Column("fingerprint", Sha256Column, nullable=False),
        sa.Column("response", sa.LargeBinary(65535)),
        sa.Column("expire_time", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("key_sha256", name="pk_idempotency_keys"),
    )
