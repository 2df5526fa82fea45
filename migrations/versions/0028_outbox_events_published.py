"""Which events of the outbox have been published."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from repository_tier.column_types import MYSQL_DIALECTS, UtcDateTime

revision = "0028"
down_revision = "0027"

INDEX = "ix_outbox_events_published_time_position"


def upgrade() -> None:
    connection = op.get_bind()
    columns = {column["name"] for column in sa.inspect(connection).get_columns("outbox_events")}
    if "published_time" in columns:
        return
    if connection.dialect.name in MYSQL_DIALECTS:
        # One statement, so that there is never the column without its index.
        op.execute(
            "ALTER TABLE outbox_events ADD COLUMN published_time DATETIME(6) NULL, "
            f"ADD INDEX {INDEX} (published_time, position)"
        )
        return
    op.add_column("outbox_events", sa.Column("published_time", UtcDateTime))
    op.create_index(INDEX, "outbox_events", ["published_time", "position"])
