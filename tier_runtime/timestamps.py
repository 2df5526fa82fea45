"""Aware datetimes to and from protobuf Timestamps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp_from(moment: datetime) -> Timestamp:
    """Return the Timestamp of an aware datetime, exact to the microsecond.

    Raises:
        ValueError: the datetime is naive, so which moment it means is not known.
    """
    if moment.tzinfo is None:
        raise ValueError("A datetime without a time zone cannot become a Timestamp.")
    # Integers throughout: a float of today's seconds has no room for all six digits, and giving
    # seconds and nanos to the constructor costs a fraction of Timestamp.FromDatetime.
    since = moment - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def datetime_from(timestamp: Timestamp | None) -> datetime | None:
    """Return the aware UTC datetime of a Timestamp, or None when it is absent or unset.

    An unset message field reads as the zero Timestamp, the first moment of 1970, which no record
    of ours can hold. Nanoseconds are cut to microseconds.

    Raises:
        OverflowError: the moment is outside the years 1 to 9999.
    """
    if timestamp is None or (timestamp.seconds == 0 and timestamp.nanos == 0):
        return None
    return _EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1000)
