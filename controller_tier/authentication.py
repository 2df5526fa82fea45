"""Who calls: the decorators that a view's access is declared with."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import request

from controller_tier.access_feed import AccessFeed
from controller_tier.access_tokens import TokenVerifier
from tier_runtime.call import Actor, call_scope, current_call
from tier_runtime.errors import AppError, Kind

P = ParamSpec("P")
R = TypeVar("R")

# RFC 6750, section 2.1; the scheme's letter case does not count (RFC 9110, section 11.1).
_BEARER = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)


class Authentication:
    """Finds the actor of a request, and runs views on its behalf.

    The actor travels with the call: every outgoing RPC of the view carries it.
    """

    def __init__(self, tokens: TokenVerifier, feed: AccessFeed) -> None:
        self._tokens = tokens
        self._feed = feed

    def jwt_required(self, view: Callable[P, R]) -> Callable[P, R]:
        """Let only signed-in callers in.

        The view answers 401 with UNAUTHENTICATED, INVALID_TOKEN, TOKEN_EXPIRED or TOKEN_REVOKED
        to others, and 503 while it cannot be known whether the session still lives.
        """

        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            actor = self._actor()
            if actor.is_anonymous:
                raise AppError(
                    Kind.UNAUTHENTICATED, "UNAUTHENTICATED", "This needs an access token."
                )
            return _on_behalf_of(actor, view, *args, **kwargs)

        return guarded

    def role_required(self, role: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Let only signed-in callers in that hold the role; 403 FORBIDDEN to the others."""

        def decorator(view: Callable[P, R]) -> Callable[P, R]:
            @wraps(view)
            def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
                if role not in current_actor().roles:
                    raise AppError(Kind.FORBIDDEN, "FORBIDDEN", f"This needs the role {role!r}.")
                return view(*args, **kwargs)

            return self.jwt_required(guarded)

        return decorator

    def optional_auth(self, view: Callable[P, R]) -> Callable[P, R]:
        """Let everyone in; who presents a token must present a good one."""

        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            return _on_behalf_of(self._actor(), view, *args, **kwargs)

        return guarded

    def _actor(self) -> Actor:
        token = _bearer_token()
        if token is None:
            return Actor()
        claims = self._tokens.claims_of(token)
        return Actor(claims.subject, self._feed.roles_of(claims), claims.session_id)


def current_actor() -> Actor:
    """Return the one on whose behalf the current view runs; anonymous outside of one."""
    call = current_call()
    return call.actor if call else Actor()


def _on_behalf_of(actor: Actor, view: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    call = current_call()
    if call is None:
        raise RuntimeError("A view runs inside the call that the edge opened for its request.")
    with call_scope(replace(call, actor=actor)):
        return view(*args, **kwargs)


def _bearer_token() -> str | None:
    header = request.headers.get("Authorization", "").strip()
    scheme = header.partition(" ")[0].lower()
    if scheme != "bearer":
        # Another scheme, or none, presents no token of ours.
        return None
    match = _BEARER.fullmatch(header)
    if match is None:
        raise AppError(
            Kind.UNAUTHENTICATED, "INVALID_TOKEN", "The Authorization header holds no token."
        )
    return match[1]
