"""When an event was made, by what its id tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

# The clocks of the tiers, and of Redis, may be apart by so much.
SKEW = timedelta(seconds=60)


def begin_of(event_id: str) -> datetime:
    """Return a moment before an event was published, from its UUIDv7 (RFC 9562, section 5.7)."""
    milliseconds = UUID(event_id).int >> 80
    return datetime.fromtimestamp(milliseconds / 1000, UTC) - SKEW
