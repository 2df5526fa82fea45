"""Which user holds which role."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.steps import create_table
from repository_tier.column_types import UuidColumn, word

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    create_table(
        "user_roles",
        sa.Column("user_id", UuidColumn, nullable=False),
        sa.Column("role", word(32), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "role", name="pk_user_roles"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_user_roles_user_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["role"], ["roles.name"], name="fk_user_roles_role"),
    )
