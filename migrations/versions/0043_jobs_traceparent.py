"""In whose trace a job runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from repository_tier.column_types import word

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("jobs")}
    if "traceparent" not in there:
        op.add_column("jobs", sa.Column("traceparent", word(55)))
