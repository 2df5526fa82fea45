"""Single values between protobuf and JSON, as protobuf's JSON mapping writes them.

https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

import math
from base64 import b64decode
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_DAY_SECONDS = 86_400
# By what stands between the digits of "2026-11-21T04:00:00Z", and of the same with microseconds.
_LENGTHS = {"--T::Z": 20, "--T::.": 27}
_TO_SECONDS = 19
# protobuf's bound for a Duration: about 10,000 years.
_MAX_DURATION_SECONDS = 315_576_000_000


class NotPlainError(ValueError):
    """A value that is written in another way than we write it; protobuf's own parser decides."""


def moment_json(timestamp: Timestamp) -> datetime | str:
    """Return a timestamp as orjson writes it best; text where it has nanoseconds."""
    micros, nanos = divmod(timestamp.nanos, 1000)
    if nanos:
        whole = (EPOCH + timedelta(0, timestamp.seconds)).isoformat()[:_TO_SECONDS]
        return f"{whole}.{timestamp.nanos:09d}Z"
    return EPOCH + timedelta(0, timestamp.seconds, micros)


def moment_fields(text: str) -> dict[str, int]:
    """Return the fields of the Timestamp that RFC 3339 text of ours stands for.

    Raises:
        NotPlainError: it is not written as we write it.
    """
    # fromisoformat takes more forms than RFC 3339 has.
    if _LENGTHS.get(text[4:20:3]) != len(text) or text[-1] != "Z":
        raise NotPlainError
    since = datetime.fromisoformat(text) - EPOCH
    return {
        "seconds": since.days * _DAY_SECONDS + since.seconds,
        "nanos": since.microseconds * 1000,
    }


def duration_json(duration: Duration) -> str:
    """Return a duration as seconds with 0, 3, 6 or 9 decimals."""
    text: str = duration.ToJsonString()
    return text


def duration_fields(text: str) -> dict[str, int]:
    """Return the fields of the Duration that text such as "1.5s" stands for.

    Raises:
        NotPlainError: it is not written as we write it.
    """
    if not text.endswith("s"):
        raise NotPlainError
    whole, _, fraction = text[:-1].partition(".")
    digits = whole.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(fraction) <= 9):
        raise NotPlainError
    if fraction and not (fraction.isascii() and fraction.isdecimal()):
        raise NotPlainError
    if text[-2] == "." or int(digits) > _MAX_DURATION_SECONDS:
        raise NotPlainError
    sign = -1 if whole.startswith("-") else 1
    return {"seconds": int(whole), "nanos": sign * int(fraction.ljust(9, "0"))}


def bytes_from(text: str) -> bytes:
    """Return what base64 with padding stands for.

    Raises:
        ValueError: it is not that.
    """
    return b64decode(text, validate=True)


def float_json(number: float) -> float | str:
    """Return a number, or the word that stands for one that JSON cannot write."""
    if math.isfinite(number):
        return number
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"
