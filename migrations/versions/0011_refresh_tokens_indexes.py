"""The tokens of a session."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    add_indexes("refresh_tokens", {"ix_refresh_tokens_session_id": ["session_id"]})
