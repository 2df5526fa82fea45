"""What everything of the demo data is drawn from: its own random source, ids and moments."""

from __future__ import annotations

from random import Random

from google.protobuf.timestamp_pb2 import Timestamp

# Milliseconds since 1970. Users and products are made in 2024, and orders are placed in 2025, so
# that every order finds what it needs whatever the numbers are.
YEAR_OF_GOODS = 1_704_067_200_000
YEAR_OF_ORDERS = 1_735_689_600_000
# A million of each kind fit into a year.
STEP = 30_000
HOUR = 3_600_000
MAX_NUMBER = 1_000_000


def random_of(kind: str, number: int) -> Random:
    """Return the random source of one thing, which no other thing draws from."""
    return Random(f"{kind} {number}")  # noqa: S311 - it has to be foreseeable.


def moment_of(year: int, number: int, random: Random) -> int:
    """Return when the thing with this number came, in milliseconds; later numbers come later."""
    return year + number * STEP + random.randrange(STEP // 2)


def id_at(milliseconds: int, random: Random) -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7) of this moment."""
    high = milliseconds << 16 | 0x7000 | random.getrandbits(12)
    digits = f"{high:016x}{0x8 << 60 | random.getrandbits(62):016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def timestamp_at(milliseconds: int) -> Timestamp:
    """Return the moment as messages hold it."""
    return Timestamp(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)
