"""Access tokens as the service tier signs them, and as others might."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from arcana.service.v1.auth_service_pb2 import JsonWebKey
from tier_runtime.clock import Clock

LIFETIME = timedelta(hours=1)


class FakeKey:
    """An Ed25519 key pair with its id."""

    def __init__(self) -> None:
        self.private = Ed25519PrivateKey.generate()
        raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.x = _base64url(raw)
        members = {"crv": "Ed25519", "kty": "OKP", "x": self.x}
        text = json.dumps(members, separators=(",", ":"), sort_keys=True)
        self.kid = _base64url(hashlib.sha256(text.encode()).digest())

    def jwk(self) -> JsonWebKey:
        return JsonWebKey(kty="OKP", crv="Ed25519", x=self.x, kid=self.kid, alg="EdDSA", use="sig")


class TokenMint:
    """Signs access tokens; every part can be set, to make bad ones."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.key = FakeKey()
        self._issued = 0

    def issue(
        self,
        user_id: str,
        session_id: str,
        roles: tuple[str, ...] = ("user",),
        *,
        key: Any = None,
        algorithm: str = "EdDSA",
        headers: dict[str, Any] | None = None,
        without: tuple[str, ...] = (),
        **claims: Any,
    ) -> str:
        self._issued += 1
        now = int(self.clock.now().timestamp())
        payload = {
            "iss": "arcana",
            "aud": "arcana-api",
            "sub": user_id,
            "sid": session_id,
            "jti": f"token-{self._issued}",
            "iat": now,
            "exp": now + int(LIFETIME.total_seconds()),
            "roles": list(roles),
            **claims,
        }
        for name in without:
            del payload[name]
        return jwt.encode(
            payload,
            self.key.private if key is None else key,
            algorithm=algorithm,
            headers={"typ": "at+jwt", "kid": self.key.kid, **(headers or {})},
        )


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
