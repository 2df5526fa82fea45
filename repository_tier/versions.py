"""Versions, by which a write tells what it is based on."""

from __future__ import annotations

from tier_runtime.errors import AppError, Kind


def stale() -> AppError:
    """Return the error of a write that is based on an older version."""
    return AppError(Kind.STALE, "PRECONDITION_FAILED", "It has changed since the version given.")
