"""The outbox, and how far each group of consumers has come with it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table

from repository_tier.column_types import UtcDateTime, UuidColumn, exact_text, word
from repository_tier.tables.schema import TABLE_OPTIONS, metadata

outbox_events = Table(
    "outbox_events",
    metadata,
    # SQLite makes only an INTEGER key count by itself.
    Column(
        "position",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("id", UuidColumn, nullable=False, unique=True),
    Column("type", word(64), nullable=False),
    Column("aggregate_type", word(64), nullable=False),
    Column("aggregate_id", exact_text(64), nullable=False),
    # The whole arcana.common.v1.DomainEvent, serialized: what consumers get, byte for byte.
    Column("body", LargeBinary(65535), nullable=False),
    Column("occurred_time", UtcDateTime, nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    # When the relay published it. Null: it has not, or is to do so again.
    Column("published_time", UtcDateTime),
    # What is to be published, in order; and what was published before some moment.
    Index("ix_outbox_events_published_time_position", "published_time", "position"),
    # Without it SQLite gives a position again after its event was removed.
    sqlite_autoincrement=True,
    **TABLE_OPTIONS,
)

# Who consumes events together.
event_groups = Table(
    "event_groups",
    metadata,
    Column("name", word(32), primary_key=True),
    # The run of Redis, by its own id, that holds what the group has not settled. Empty: none does.
    Column("run_id", word(64), nullable=False),
    # What was published before has been settled; null: nothing is known to be. With Redis only.
    Column("settled_time", UtcDateTime),
    Column("created_time", UtcDateTime, nullable=False),
    **TABLE_OPTIONS,
)

# What each group has still to settle, or has given up, where no Redis keeps that.
event_deliveries = Table(
    "event_deliveries",
    metadata,
    Column("group_name", word(32), primary_key=True),
    # Before the position, so that what is alive is found without a look at the dead.
    Column("is_dead", Boolean, primary_key=True),
    # Of the event in the outbox, which stays for as long as this row does.
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    # When it is to be handed out, or handed out again; of a dead one, when it was given up.
    Column("due_time", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", exact_text(500), nullable=False),
    **TABLE_OPTIONS,
)
