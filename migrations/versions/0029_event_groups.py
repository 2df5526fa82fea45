"""Who consumes events together."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import UtcDateTime, word

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    create_table(
        "event_groups",
        sa.Column("name", word(32), nullable=False),
        sa.Column("run_id", word(64), nullable=False),
        sa.Column("settled_time", UtcDateTime),
        sa.Column("created_time", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_event_groups"),
    )
