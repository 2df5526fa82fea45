"""The roles that there are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    roles = sa.table("roles", sa.column("name", sa.String))
    there = set(op.get_bind().scalars(sa.select(roles.c.name)))
    for name in ("admin", "premium", "user"):
        if name not in there:
            op.execute(roles.insert().values(name=name))
