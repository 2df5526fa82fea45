"""The table of roles."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import word

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    create_table(
        "roles",
        sa.Column("name", word(32), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_roles"),
    )
