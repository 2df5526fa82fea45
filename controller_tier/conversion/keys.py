"""Public keys to JSON Web Keys (RFC 7517, RFC 8037)."""

from __future__ import annotations

from arcana.service.v1.auth_service_pb2 import JsonWebKey


def jwk_document(key: JsonWebKey) -> dict[str, str]:
    """Return the key as a JWK."""
    return {
        "kty": key.kty,
        "crv": key.crv,
        "x": key.x,
        "kid": key.kid,
        "alg": key.alg,
        "use": key.use,
    }
