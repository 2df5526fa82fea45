"""The tables as they are at the newest revision; `migrations/` gets a database there.

A test compares the two. Text is in Unicode NFC; `…_key` columns hold the case-folded form.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
)

from repository_tier.column_types import (
    MAX_PRODUCT_NAME_KEY_CHARACTERS,
    MAX_SORT_KEY_CHARACTERS,
    Sha256Column,
    UtcDateTime,
    UuidColumn,
    exact_text,
    large_bytes,
    long_ascii,
    word,
)

# What every table says to MySQL; SQLite ignores it.
TABLE_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

users = Table(
    "users",
    metadata,
    Column("id", UuidColumn, primary_key=True),
    Column("email", exact_text(254), nullable=False),
    Column("email_key", exact_text(MAX_SORT_KEY_CHARACTERS), nullable=False, unique=True),
    Column("name", exact_text(255), nullable=False),
    Column("name_key", exact_text(MAX_SORT_KEY_CHARACTERS), nullable=False),
    Column("status", word(16), nullable=False),
    Column("email_verified", Boolean, nullable=False),
    Column("password_hash", word(255), nullable=False),
    Column("credential_version", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    Column("updated_time", UtcDateTime, nullable=False),
    Column("last_login_time", UtcDateTime),
    # When the roles were last replaced; the feed of access changes walks it.
    Column("roles_changed_time", UtcDateTime),
    # Whether the external directory has heard of this version.
    Column("sync_status", word(16), nullable=False, server_default="pending"),
    Index("ix_users_created_time_id", "created_time", "id"),
    Index("ix_users_updated_time_id", "updated_time", "id"),
    Index("ix_users_name_key_id", "name_key", "id"),
    Index("ix_users_roles_changed_time_id", "roles_changed_time", "id"),
    Index("ix_users_sync_status_id", "sync_status", "id"),
    **TABLE_OPTIONS,
)

roles = Table(
    "roles",
    metadata,
    Column("name", word(32), primary_key=True),
    **TABLE_OPTIONS,
)

user_roles = Table(
    "user_roles",
    metadata,
    Column("user_id", UuidColumn, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role", word(32), ForeignKey("roles.name"), primary_key=True),
    Index("ix_user_roles_role_user_id", "role", "user_id"),
    **TABLE_OPTIONS,
)

user_profiles = Table(
    "user_profiles",
    metadata,
    Column("user_id", UuidColumn, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("avatar_url", exact_text(500), nullable=False),
    Column("bio", exact_text(1000), nullable=False),
    Column("phone", exact_text(16), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("updated_time", UtcDateTime, nullable=False),
    **TABLE_OPTIONS,
)

# A session outlives its user, ended, until its access tokens are past: so no foreign key.
sessions = Table(
    "sessions",
    metadata,
    Column("id", UuidColumn, primary_key=True),
    Column("user_id", UuidColumn, nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    Column("refreshed_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
    Column("ended_time", UtcDateTime),
    Column("client_address", exact_text(45), nullable=False),
    Column("user_agent", exact_text(255), nullable=False),
    Index("ix_sessions_user_id_created_time_id", "user_id", "created_time", "id"),
    Index("ix_sessions_ended_time_id", "ended_time", "id"),
    Index("ix_sessions_expire_time", "expire_time"),
    Index("ix_sessions_created_time", "created_time"),
    **TABLE_OPTIONS,
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token_sha256", Sha256Column, primary_key=True),
    Column("session_id", UuidColumn, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
    # When it was traded for its successor.
    Column("used_time", UtcDateTime),
    Index("ix_refresh_tokens_session_id", "session_id"),
    Index("ix_refresh_tokens_expire_time", "expire_time"),
    **TABLE_OPTIONS,
)

one_time_tokens = Table(
    "one_time_tokens",
    metadata,
    Column("id", UuidColumn, primary_key=True),
    Column("token_sha256", Sha256Column, nullable=False, unique=True),
    Column("purpose", word(32), nullable=False),
    # Null for a decoy, which nothing can use.
    Column("user_id", UuidColumn, ForeignKey("users.id", ondelete="CASCADE")),
    Column("created_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
    # When it was used, or lost its use.
    Column("used_time", UtcDateTime),
    Index("ix_one_time_tokens_user_id_purpose", "user_id", "purpose"),
    Index("ix_one_time_tokens_expire_time", "expire_time"),
    **TABLE_OPTIONS,
)

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

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    # SHA-256 of scope and key: MySQL compares text without its trailing spaces.
    Column("key_sha256", Sha256Column, primary_key=True),
    Column("scope", exact_text(255), nullable=False),
    Column("fingerprint", Sha256Column, nullable=False),
    # The serialized answer, such as an order of 100 lines. Null only inside the transaction that
    # makes it.
    Column("response", large_bytes()),
    Column("expire_time", UtcDateTime, nullable=False),
    Index("ix_idempotency_keys_expire_time", "expire_time"),
    **TABLE_OPTIONS,
)

products = Table(
    "products",
    metadata,
    Column("id", UuidColumn, primary_key=True),
    Column("name", exact_text(255), nullable=False),
    Column("name_key", exact_text(MAX_PRODUCT_NAME_KEY_CHARACTERS), nullable=False),
    Column("description", exact_text(5000), nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("currency_code", word(3), nullable=False),
    Column("stock", BigInteger, nullable=False),
    Column("low_stock_threshold", BigInteger, nullable=False),
    Column("category", exact_text(100), nullable=False),
    Column("status", word(16), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    Column("updated_time", UtcDateTime, nullable=False),
    # The last line of defence: no statement of ours can get here.
    CheckConstraint("stock >= 0", name="stock"),
    # What admins list by, and what everybody else does, who sees one status only.
    Index("ix_products_created_time_id", "created_time", "id"),
    Index("ix_products_updated_time_id", "updated_time", "id"),
    Index("ix_products_name_key_id", "name_key", "id"),
    Index("ix_products_price_minor_id", "price_minor", "id"),
    Index("ix_products_status_created_time_id", "status", "created_time", "id"),
    Index("ix_products_status_updated_time_id", "status", "updated_time", "id"),
    Index("ix_products_status_name_key_id", "status", "name_key", "id"),
    Index("ix_products_status_price_minor_id", "status", "price_minor", "id"),
    Index(
        "ix_products_category_status_created_time_id", "category", "status", "created_time", "id"
    ),
    # By which those that are in stock, or are not, are counted without a look at each of them.
    Index("ix_products_status_stock", "status", "stock"),
    **TABLE_OPTIONS,
)

# What a product is searched by, as `search_words` makes it. A table of its own, so that a change of
# stock touches no full-text index.
product_search = Table(
    "product_search",
    metadata,
    # SQLite's index knows a row by an integer.
    Column(
        "position",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("product_id", UuidColumn, ForeignKey("products.id"), nullable=False, unique=True),
    Column("words", long_ascii(), nullable=False),
    # SQLite has a virtual table in its place, `product_search_index`, which triggers keep in step.
    Index("ix_product_search_words", "words", mysql_prefix="FULLTEXT", mariadb_prefix="FULLTEXT"),
    **TABLE_OPTIONS,
)

# The ledger: the sum of a product's movements is its stock, always. A product's own lie together.
stock_movements = Table(
    "stock_movements",
    metadata,
    Column("product_id", UuidColumn, ForeignKey("products.id"), primary_key=True),
    Column("id", UuidColumn, primary_key=True),
    Column("quantity_change", BigInteger, nullable=False),
    Column("reason", exact_text(255), nullable=False),
    # Null: no order took the units or gave them back.
    Column("order_id", UuidColumn),
    Column("created_time", UtcDateTime, nullable=False),
    **TABLE_OPTIONS,
)

# An order outlives the user who placed it: so no foreign key.
orders = Table(
    "orders",
    metadata,
    Column("id", UuidColumn, primary_key=True),
    Column("user_id", UuidColumn, nullable=False),
    Column("status", word(16), nullable=False),
    Column("pricing", word(16), nullable=False),
    Column("currency_code", word(3), nullable=False),
    Column("subtotal_minor", BigInteger, nullable=False),
    Column("discount_minor", BigInteger, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    Column("updated_time", UtcDateTime, nullable=False),
    Index("ix_orders_created_time_id", "created_time", "id"),
    Index("ix_orders_updated_time_id", "updated_time", "id"),
    Index("ix_orders_status_created_time_id", "status", "created_time", "id"),
    Index("ix_orders_status_updated_time_id", "status", "updated_time", "id"),
    Index("ix_orders_user_id_created_time_id", "user_id", "created_time", "id"),
    **TABLE_OPTIONS,
)

# Name and price as they were when the product was sold.
order_items = Table(
    "order_items",
    metadata,
    Column("order_id", UuidColumn, ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True),
    # Its place in the order, from 0.
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("product_id", UuidColumn, ForeignKey("products.id"), nullable=False),
    Column("name", exact_text(255), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price_minor", BigInteger, nullable=False),
    Column("discount_minor", BigInteger, nullable=False),
    Column("line_total_minor", BigInteger, nullable=False),
    Index("ix_order_items_product_id", "product_id"),
    **TABLE_OPTIONS,
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", UuidColumn, primary_key=True),
    Column("name", word(64), nullable=False),
    Column("unique_key", word(255), unique=True),
    Column("status", word(16), nullable=False),
    # What it is to be done with, and where its last attempt stopped: the service tier's own.
    Column("payload", large_bytes(), nullable=False),
    Column("checkpoint", LargeBinary(65535), nullable=False),
    # How often it was begun, how often it may be by one enqueueing, and at which it is given up.
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("last_attempt", Integer, nullable=False),
    Column("progress_done", BigInteger),
    Column("progress_total", BigInteger),
    Column("error_code", word(64)),
    Column("error_message", exact_text(1000)),
    # A JSON object.
    Column("result", LargeBinary(65535), nullable=False),
    # Whose it is while it runs; kept after that, to know a second call again.
    Column("lease_id", UuidColumn),
    Column("lease_expire_time", UtcDateTime),
    # When its id was handed to the broker. Null: it is to be.
    Column("published_time", UtcDateTime),
    Column("due_time", UtcDateTime, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    Column("started_time", UtcDateTime),
    Column("finished_time", UtcDateTime),
    Index("ix_jobs_created_time_id", "created_time", "id"),
    Index("ix_jobs_status_created_time_id", "status", "created_time", "id"),
    Index("ix_jobs_name_created_time_id", "name", "created_time", "id"),
    Index("ix_jobs_name_status_created_time_id", "name", "status", "created_time", "id"),
    Index("ix_jobs_status_published_time_due_time", "status", "published_time", "due_time"),
    Index("ix_jobs_status_lease_expire_time", "status", "lease_expire_time"),
    Index("ix_jobs_status_finished_time", "status", "finished_time"),
    **TABLE_OPTIONS,
)

daily_reports = Table(
    "daily_reports",
    metadata,
    # As `2026-11-30`.
    Column("date", word(10), primary_key=True),
    # The arcana.repository.v1.DailyReport, serialized.
    Column("body", large_bytes(), nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    **TABLE_OPTIONS,
)

# A file is there while it is `stored`. `storing` and `deleting` lead there and from there, and what
# a crash leaves in them is swept. A file outlives the user who uploaded it: so no foreign key.
files = Table(
    "files",
    metadata,
    # Also the name of its bytes in the blob store.
    Column("id", UuidColumn, primary_key=True),
    Column("filename", exact_text(255), nullable=False),
    Column("content_type", word(100), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Sha256Column, nullable=False),
    Column("uploaded_by", UuidColumn, nullable=False),
    Column("state", word(16), nullable=False),
    Column("created_time", UtcDateTime, nullable=False),
    Index("ix_files_state_created_time_id", "state", "created_time", "id"),
    Index(
        "ix_files_state_uploaded_by_created_time_id", "state", "uploaded_by", "created_time", "id"
    ),
    **TABLE_OPTIONS,
)

# What a user's files that are stored, or about to be, are together. It saves counting them, and its
# row is what uploads of one user wait for each other by.
file_usage = Table(
    "file_usage",
    metadata,
    Column("user_id", UuidColumn, primary_key=True),
    Column("total_bytes", BigInteger, nullable=False),
    # The last line of defence: no statement of ours can get here.
    CheckConstraint("total_bytes >= 0", name="total_bytes"),
    **TABLE_OPTIONS,
)
