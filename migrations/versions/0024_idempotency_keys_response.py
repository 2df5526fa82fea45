"""Room for larger answers, such as an order of 100 lines."""

from __future__ import annotations

from alembic import op

from repository_tier.column_types import MYSQL_DIALECTS, large_bytes

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    # SQLite bounds no BLOB. Saying it again to MySQL changes nothing.
    if op.get_bind().dialect.name in MYSQL_DIALECTS:
        op.alter_column(
            "idempotency_keys",
            "response",
            type_=large_bytes(),
            existing_nullable=True,
        )
