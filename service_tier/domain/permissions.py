"""Who may do what; each rule raises unless the actor may."""

from __future__ import annotations

from service_tier.domain.roles import ADMIN
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind


def require_signed_in(actor: Actor) -> str:
    """Return the actor's subject.

    Raises:
        AppError: UNAUTHENTICATED/UNAUTHENTICATED for an anonymous actor.
    """
    if actor.is_anonymous:
        raise AppError(Kind.UNAUTHENTICATED, "UNAUTHENTICATED", "Sign in first.")
    return actor.subject


def require_admin(actor: Actor) -> None:
    """Do nothing for an admin.

    Raises:
        AppError: UNAUTHENTICATED/UNAUTHENTICATED; FORBIDDEN/FORBIDDEN.
    """
    require_signed_in(actor)
    if ADMIN not in actor.roles:
        raise AppError(Kind.FORBIDDEN, "FORBIDDEN", "Only admins may do this.")


def require_self_or_admin(actor: Actor, user_id: str) -> None:
    """Do nothing for the user itself and for an admin.

    A stranger is refused whether or not there is such a user.

    Raises:
        AppError: UNAUTHENTICATED/UNAUTHENTICATED; FORBIDDEN/FORBIDDEN.
    """
    if require_signed_in(actor) != user_id and ADMIN not in actor.roles:
        raise AppError(Kind.FORBIDDEN, "FORBIDDEN", "Only the user itself and admins may do this.")


def is_admin(actor: Actor) -> bool:
    """True for a signed-in admin."""
    return not actor.is_anonymous and ADMIN in actor.roles
