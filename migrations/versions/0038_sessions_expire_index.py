"""What is cleaned up, by its time."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    add_indexes("sessions", {"ix_sessions_expire_time": ["expire_time"]})
