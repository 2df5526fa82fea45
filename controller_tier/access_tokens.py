"""Verifies access tokens (RFC 9068) by their signature and claims; sessions are not its business.

PyJWT takes tokens without `exp`, does not look at `typ`, and lets the token choose its algorithm
if one lets it: all of that is pinned here.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Never

import jwt

from controller_tier.signing_keys import SigningKeys
from tier_runtime.clock import Clock
from tier_runtime.errors import AppError, Kind

TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
# Ours have less than 1 kB; hashing and parsing a header of 8 kB is work for nothing.
MAX_TOKEN_LENGTH = 4096
_REQUIRED = ("exp", "iat", "iss", "aud", "sub", "sid", "jti", "roles")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. Times are in seconds since 1970."""

    subject: str
    session_id: str
    roles: frozenset[str]
    expires_at: int
    key_id: str | None


class TokenVerifier:
    """Turns a token into its claims, remembering tokens that it has verified before.

    The memory is keyed by the token's SHA-256. What can change in a token's life, its expiry and
    whether its key is still published, is checked on every use.
    """

    def __init__(
        self,
        keys: SigningKeys,
        clock: Clock,
        *,
        issuer: str,
        audience: str,
        remembered: int,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._issuer = issuer
        self._audience = audience
        self._remembered = remembered
        self._known: OrderedDict[bytes, Claims] = OrderedDict()
        self._lock = threading.Lock()

    def claims_of(self, token: str) -> Claims:
        """Return what the token says.

        Raises:
            AppError: UNAUTHENTICATED with INVALID_TOKEN or TOKEN_EXPIRED; what the keys raise.
        """
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            raise _invalid_token()
        digest = hashlib.sha256(token.encode("ascii")).digest()
        claims = self._known.get(digest)
        if claims is None:
            claims = self._verified(token)
            self._remember(digest, claims)
        elif self._keys.find(claims.key_id) is None:
            _refuse()
        if self._clock.now().timestamp() >= claims.expires_at:
            raise AppError(Kind.UNAUTHENTICATED, "TOKEN_EXPIRED", "The access token has expired.")
        return claims

    def _verified(self, token: str) -> Claims:
        try:
            header = jwt.get_unverified_header(token)
            if str(header.get("typ", "")).lower() not in TOKEN_TYPES:
                _refuse()
            kid = header.get("kid")
            key = self._keys.find(kid)
            if key is None:
                _refuse()
            payload = jwt.decode(
                token,
                key,
                algorithms=[self._keys.algorithm],
                issuer=self._issuer,
                audience=self._audience,
                # Time is checked by our own clock, on every use.
                options={
                    "require": list(_REQUIRED),
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "strict_aud": True,
                },
            )
            return _claims_from(payload, kid)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            # Not "from": the error may quote the token.
            _refuse()

    def _remember(self, digest: bytes, claims: Claims) -> None:
        with self._lock:
            self._known[digest] = claims
            while len(self._known) > self._remembered:
                self._known.popitem(last=False)


def _claims_from(payload: dict[str, Any], kid: str | None) -> Claims:
    roles = payload["roles"]
    texts = (payload["sub"], payload["sid"], payload["jti"], *roles)
    times = (payload["iat"], payload["exp"])
    if not isinstance(roles, list) or not all(isinstance(text, str) and text for text in texts):
        _refuse()
    # bool is an int to Python.
    if not all(type(time) is int for time in times):
        _refuse()
    return Claims(
        subject=payload["sub"],
        session_id=payload["sid"],
        roles=frozenset(roles),
        expires_at=payload["exp"],
        key_id=kid,
    )


def _refuse() -> Never:
    raise _invalid_token()


def _invalid_token() -> AppError:
    return AppError(Kind.UNAUTHENTICATED, "INVALID_TOKEN", "The access token is not valid.")
