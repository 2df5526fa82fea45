"""Who comes in: one decision for HTTP and for the public gRPC API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from controller_tier.access_feed import AccessFeed
from controller_tier.access_table import Access
from controller_tier.access_tokens import TokenVerifier
from controller_tier.denials import Refused, untold
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind

ADMIN = "admin"

# Raises AppError for an actor that may not come in.
Rule = Callable[[Actor], None]

# RFC 6750, section 2.1; the scheme's letter case does not count (RFC 9110, section 11.1).
_BEARER = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)


class Admission:
    """Knows callers by what they present, and lets in who may."""

    def __init__(
        self,
        tokens: TokenVerifier,
        feed: AccessFeed,
        tell: Callable[[AppError | None], None] = lambda _error: None,
    ) -> None:
        self._tokens = tokens
        self._feed = feed
        # Is told of each token how its verification ended.
        self._tell = tell

    def admit(self, access: Access, authorization: str, refused: Refused = untold) -> Actor:
        """Return the one on whose behalf the request is served; `refused` hears why nobody is.

        Where everyone may call nobody is known, and a token that is no good any more does not
        matter: who refreshes a session may well send the old one along.

        Raises:
            AppError: what `actor_of` raises; UNAUTHENTICATED/UNAUTHENTICATED without a token;
                FORBIDDEN/FORBIDDEN without the role.
        """
        if access is Access.EVERYONE:
            return Actor()
        rules: list[Rule] = []
        if access is not Access.OPTIONAL:
            rules.append(require_signed_in)
        if access is Access.ADMIN:
            rules.append(lambda actor: require_role(actor, ADMIN))
        return self.known(authorization, rules, refused)

    def known(self, authorization: str, rules: Iterable[Rule], refused: Refused = untold) -> Actor:
        """Return whom a header presents, if no rule stands against it; `refused` hears why not.

        Raises:
            AppError: what `actor_of` and the rules raise.
        """
        actor = Actor()
        try:
            actor = self.actor_of(authorization)
            for rule in rules:
                rule(actor)
        except AppError as error:
            refused(error, actor)
            raise
        return actor

    def actor_of(self, authorization: str) -> Actor:
        """Return whom the text of an Authorization header presents; anonymous if it does not.

        Raises:
            AppError: UNAUTHENTICATED with INVALID_TOKEN, TOKEN_EXPIRED or TOKEN_REVOKED;
                UNAVAILABLE or DEADLINE while none of it can be known.
        """
        try:
            token = _bearer_token(authorization)
            if token is None:
                return Actor()
            claims = self._tokens.claims_of(token)
            actor = Actor(claims.subject, self._feed.roles_of(claims), claims.session_id)
        except AppError as error:
            self._tell(error)
            raise
        self._tell(None)
        return actor


def require_signed_in(actor: Actor) -> None:
    """Do nothing if the actor is known.

    Raises:
        AppError: UNAUTHENTICATED/UNAUTHENTICATED, if it is anonymous.
    """
    if actor.is_anonymous:
        raise AppError(Kind.UNAUTHENTICATED, "UNAUTHENTICATED", "This needs an access token.")


def require_role(actor: Actor, role: str) -> None:
    """Do nothing if the actor holds the role.

    Raises:
        AppError: FORBIDDEN/FORBIDDEN, if it does not.
    """
    if role not in actor.roles:
        raise AppError(Kind.FORBIDDEN, "FORBIDDEN", f"This needs the role {role!r}.")


def _bearer_token(authorization: str) -> str | None:
    header = authorization.strip()
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
