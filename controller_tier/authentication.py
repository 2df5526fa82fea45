"""Who calls over HTTP: the decorators that a view's access is declared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import request

from controller_tier.admission import Admission, Rule, require_role, require_signed_in
from controller_tier.denials import Refused, untold
from controller_tier.request_scope import call_of_request
from tier_runtime.call import Actor, call_scope, current_call

P = ParamSpec("P")
R = TypeVar("R")


class Authentication:
    """Finds the actor of a request, and runs views on its behalf.

    What is told who is refused is given with the view.

    The actor travels with the call: every outgoing RPC of the view carries it.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def jwt_required(self, view: Callable[P, R], refused: Refused = untold) -> Callable[P, R]:
        """Let only signed-in callers in.

        The view answers 401 with UNAUTHENTICATED, INVALID_TOKEN, TOKEN_EXPIRED or TOKEN_REVOKED
        to others, and 503 or 504 while it cannot be known whether the session still lives.
        """

        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            actor = self._actor(refused, require_signed_in)
            return _on_behalf_of(actor, view, *args, **kwargs)

        return guarded

    def role_required(self, role: str) -> Callable[..., Callable[P, R]]:
        """Let only signed-in callers in that hold the role; 403 FORBIDDEN to the others."""

        def decorator(view: Callable[P, R], refused: Refused = untold) -> Callable[P, R]:
            @wraps(view)
            def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
                actor = self._actor(
                    refused, require_signed_in, lambda actor: require_role(actor, role)
                )
                return _on_behalf_of(actor, view, *args, **kwargs)

            return guarded

        return decorator

    def optional_auth(self, view: Callable[P, R], refused: Refused = untold) -> Callable[P, R]:
        """Let everyone in; who presents a token must present a good one."""

        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            return _on_behalf_of(self._actor(refused), view, *args, **kwargs)

        return guarded

    def _actor(self, refused: Refused, *rules: Rule) -> Actor:
        return self._admission.known(request.headers.get("Authorization", ""), rules, refused)


def current_actor() -> Actor:
    """Return the one on whose behalf the current view runs; anonymous outside of one."""
    call = current_call()
    return call.actor if call else Actor()


def _on_behalf_of(actor: Actor, view: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    with call_scope(replace(call_of_request(), actor=actor)):
        return view(*args, **kwargs)
