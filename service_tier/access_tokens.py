"""Issues access tokens: JWTs in the profile of RFC 9068."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import jwt

from service_tier.domain.claims import AccessClaims
from service_tier.keys import SigningKey
from tier_runtime.clock import Clock
from tier_runtime.ids import IdSource

# RFC 9068, section 2.1: tells an access token from every other JWT.
JWT_TYPE = "at+jwt"


class AccessTokenIssuer:
    """Makes access tokens that live for `lifetime`."""

    def __init__(
        self,
        key: SigningKey,
        *,
        issuer: str,
        audience: str,
        lifetime: timedelta,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._key = key
        self._issuer = issuer
        self._audience = audience
        self._lifetime = lifetime
        self._clock = clock
        self._ids = ids

    @property
    def lifetime(self) -> timedelta:
        """How long a token lives."""
        return self._lifetime

    def issue(self, *, user_id: str, session_id: str, roles: Iterable[str]) -> str:
        """Return a signed token for a session of a user."""
        claims = AccessClaims(
            issuer=self._issuer,
            audience=self._audience,
            subject=user_id,
            session_id=session_id,
            token_id=self._ids.new_id(),
            roles=tuple(sorted(roles)),
            issued_time=self._clock.now(),
            lifetime=self._lifetime,
        )
        headers = {"typ": JWT_TYPE}
        if self._key.public is not None:
            headers["kid"] = self._key.public.kid
        return jwt.encode(
            claims.payload(), self._key.key, algorithm=self._key.algorithm, headers=headers
        )
