"""What Alembic runs for every command; `repository_tier.migrate` hands it the connection."""

from __future__ import annotations

from alembic import context

from repository_tier.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # MySQL commits at every DDL statement, so each is recorded before the next one begins.
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
