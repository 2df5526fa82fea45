"""Access tokens as the service tier signs them, and as others might."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

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
        key: Ed25519PrivateKey | bytes | None = None,
        algorithm: str = "EdDSA",
        headers: dict[str, Any] | None = None,
        without: tuple[str, ...] = (),
        claims: dict[str, Any] | None = None,
    ) -> str:
        """Return a token. A header that is None, and the claims `without`, are left out.

        A key of bytes is an HMAC secret.
        """
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
            **(claims or {}),
        }
        for name in without:
            del payload[name]
        header = {"alg": algorithm, "typ": "at+jwt", "kid": self.key.kid, **(headers or {})}
        present = {name: value for name, value in header.items() if value is not None}
        # By hand: PyJWT refuses to make some of the tokens that it must refuse to take.
        text = ".".join(_base64url(json.dumps(part).encode()) for part in (present, payload))
        signing = self.key.private if key is None else key
        signature = (
            hmac.new(signing, text.encode(), hashlib.sha256).digest()
            if isinstance(signing, bytes)
            else signing.sign(text.encode())
        )
        return f"{text}.{_base64url(signature)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
