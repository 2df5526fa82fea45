"""When an event was made, by what its id tells, which may be anything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

# The clocks of the tiers, and of Redis, may be apart by so much.
SKEW = timedelta(seconds=60)

# No store need know what lies beyond these.
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)


def begin_of(event_id: str) -> datetime:
    """Return a moment before an event was published, from its UUIDv7 (RFC 9562, section 5.7)."""
    seconds = (UUID(event_id).int >> 80) / 1000
    within = min(max(seconds, _EARLIEST.timestamp()), _LATEST.timestamp())
    return datetime.fromtimestamp(within, UTC) - SKEW
