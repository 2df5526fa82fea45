"""Times that a caller names."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from tier_runtime.timestamps import datetime_from
from tier_runtime.validation import REQUIRED, invalid


def moment_from_proto(field: str, timestamp: Timestamp) -> datetime | None:
    """Return the moment, None if it is not given.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, when it is outside the years 1 to 9999.
    """
    try:
        return datetime_from(timestamp)
    except OverflowError as error:
        raise invalid({field: ["Not a time between the years 1 and 9999."]}) from error


def required_moment(field: str, timestamp: Timestamp) -> datetime:
    """Return a moment that must be given.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, when it is not, or as `moment_from_proto`.
    """
    moment = moment_from_proto(field, timestamp)
    if moment is None:
        raise invalid({field: [REQUIRED]})
    return moment
