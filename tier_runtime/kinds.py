"""The eleven kinds of error; the table in the design's style guide maps them to gRPC and HTTP."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What went wrong, as far as a caller's reaction to it is concerned."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    MISSING = "missing"
    EXISTS = "exists"
    CONFLICT = "conflict"
    STALE = "stale"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    DEADLINE = "deadline"
    INTERNAL = "internal"
