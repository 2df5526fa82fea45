"""What is cleaned up, by its time."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    add_indexes("refresh_tokens", {"ix_refresh_tokens_expire_time": ["expire_time"]})
