"""Changes what others may be changing at the same moment.

A change is computed from what the database holds, and sent with the version that was read: a
write in between refuses it, and it is computed again, unless the caller named a version.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from tier_runtime.call import Call
from tier_runtime.errors import AppError, Kind

# In every round of a race one writer wins, so this many may write the same thing at once; the
# call's deadline ends it earlier.
MAX_ATTEMPTS = 20


class Versioned(Protocol):
    """A message of something that can change."""

    version: int


VersionedT = TypeVar("VersionedT", bound=Versioned)


def change_latest(
    call: Call,
    expected_version: int,
    read: Callable[[], VersionedT],
    apply: Callable[[VersionedT], VersionedT],
) -> VersionedT:
    """Apply a change to the newest version, or to the one that the caller expects; 0 is any.

    `read` returns what the database holds. `apply` writes what follows from it, and returns what
    came of that; it fails as STALE when there is a newer version.

    Raises:
        AppError: STALE/PRECONDITION_FAILED, when the version is not the expected one;
            UNAVAILABLE/SERVICE_UNAVAILABLE, when others are always faster; and what `read` and
            `apply` raise.
    """
    for _ in range(MAX_ATTEMPTS):
        call.deadline.check()
        latest = read()
        require_version(latest, expected_version)
        try:
            return apply(latest)
        except AppError as error:
            if error.kind is not Kind.STALE or expected_version:
                raise
    raise AppError(
        Kind.UNAVAILABLE,
        "SERVICE_UNAVAILABLE",
        "This is being changed by others at the moment.",
        retry_after=1.0,
    )


def require_version(latest: Versioned, expected_version: int) -> None:
    """Do nothing when the version is the expected one, or any will do.

    Raises:
        AppError: STALE/PRECONDITION_FAILED.
    """
    if expected_version and latest.version != expected_version:
        raise AppError(Kind.STALE, "PRECONDITION_FAILED", "This has changed since it was read.")
