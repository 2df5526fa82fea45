"""The roles there are."""

from __future__ import annotations

from collections.abc import Iterable

USER = "user"
ADMIN = "admin"
PREMIUM = "premium"

KNOWN_ROLES = frozenset({USER, ADMIN, PREMIUM})


def role_faults(names: Iterable[str]) -> list[str]:
    """Return what is wrong with these role names; nothing if all are known."""
    unknown = sorted(set(names) - KNOWN_ROLES)
    if not unknown:
        return []
    return [f"Unknown role; known are {', '.join(sorted(KNOWN_ROLES))}."]


def completed_roles(names: Iterable[str]) -> tuple[str, ...]:
    """Return the roles in alphabetical order, each once, with `user` among them."""
    return tuple(sorted({USER, *names}))
