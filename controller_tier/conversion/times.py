"""Timestamps to the text of RFC 3339."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from tier_runtime.timestamps import datetime_from


def rfc3339(timestamp: Timestamp) -> str | None:
    """Return the moment in UTC with `Z`, to the microsecond, or None where it is unset."""
    moment = datetime_from(timestamp)
    return None if moment is None else f"{moment.isoformat(timespec='microseconds')[:-6]}Z"
