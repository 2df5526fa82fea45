"""How many sessions a day has begun."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    add_indexes("sessions", {"ix_sessions_created_time": ["created_time"]})
