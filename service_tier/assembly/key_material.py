"""Reads the keys and the secret that the settings name, and makes those that they do not."""

from __future__ import annotations

from service_tier.keys import KeyRing, ed25519_ring, read_pem, read_signing_pem, shared_secret_ring
from service_tier.settings import ServiceSettings
from tier_runtime.secrets import given_or_kept_secret


def read_keys(settings: ServiceSettings) -> KeyRing:
    """Return the keys of access tokens, made first where the settings name none.

    Raises:
        StartupError: a key cannot be read or made.
    """
    if settings.jwt_secret is not None and settings.jwt_algorithm == "HS256":
        return shared_secret_ring(settings.jwt_secret.get_secret_value().encode())
    return ed25519_ring(
        read_signing_pem(settings.arcana_home, settings.jwt_signing_key_file),
        [(path, read_pem(path)) for path in settings.jwt_verification_key_files],
    )


def read_token_secret(settings: ServiceSettings) -> bytes:
    """Return the secret that keys one-time tokens and fingerprints, made first where none is set.

    Raises:
        StartupError: it cannot be read or made.
    """
    kept = settings.arcana_home / "keys" / "token_secret"
    return given_or_kept_secret(settings.token_secret, kept)
