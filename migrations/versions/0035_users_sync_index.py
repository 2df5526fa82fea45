"""Which users wait for the external directory."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    add_indexes("users", {"ix_users_sync_status_id": ["sync_status", "id"]})
