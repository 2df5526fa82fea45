"""The tokens of a user."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    add_indexes("one_time_tokens", {"ix_one_time_tokens_user_id_purpose": ["user_id", "purpose"]})
