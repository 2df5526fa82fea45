"""The tables as they are at the newest revision; `migrations/` gets a database there.

A test compares the two. Text is in Unicode NFC; `…_key` columns hold the case-folded form. All
tables are imported here, so `metadata` has each of them, whoever asks. No module has the name of a
table, which would hide it.
"""

from __future__ import annotations

from repository_tier.tables.accounts import roles, user_profiles, user_roles, users
from repository_tier.tables.background import daily_reports, jobs
from repository_tier.tables.catalogue import product_search, products, stock_movements
from repository_tier.tables.events import event_deliveries, event_groups, outbox_events
from repository_tier.tables.idempotency import idempotency_keys
from repository_tier.tables.ordering import order_items, orders
from repository_tier.tables.schema import metadata
from repository_tier.tables.tokens import one_time_tokens, refresh_tokens, sessions
from repository_tier.tables.uploads import file_usage, files

__all__ = [
    "daily_reports",
    "event_deliveries",
    "event_groups",
    "file_usage",
    "files",
    "idempotency_keys",
    "jobs",
    "metadata",
    "one_time_tokens",
    "order_items",
    "orders",
    "outbox_events",
    "product_search",
    "products",
    "refresh_tokens",
    "roles",
    "sessions",
    "stock_movements",
    "user_profiles",
    "user_roles",
    "users",
]
