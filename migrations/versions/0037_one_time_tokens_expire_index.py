"""What is cleaned up, by its time."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    add_indexes("one_time_tokens", {"ix_one_time_tokens_expire_time": ["expire_time"]})
