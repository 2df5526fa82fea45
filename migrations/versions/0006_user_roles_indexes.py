"""The users of a role."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    add_indexes("user_roles", {"ix_user_roles_role_user_id": ["role", "user_id"]})
