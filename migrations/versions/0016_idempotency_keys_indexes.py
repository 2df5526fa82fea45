"""The answers whose time is over."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    add_indexes("idempotency_keys", {"ix_idempotency_keys_expire_time": ["expire_time"]})
