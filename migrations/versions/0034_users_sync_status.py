"""Whether the external directory has heard of a user."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from repository_tier.column_types import word

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("users")}
    if "sync_status" not in there:
        op.add_column(
            "users",
            sa.Column("sync_status", word(16), nullable=False, server_default="pending"),
        )
