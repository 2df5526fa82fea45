"""The Secrets that the manifests refer to and never hold: whoever deploys makes them.

docs/kubernetes.md says what goes into each; `python -m k8s.dev_secrets` writes those of the overlay
`dev`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# What holds the certificate of a process and its key. In the overlay `dev` they are given;
# elsewhere cert-manager makes them.
CERTIFICATE_KEYS = frozenset({"ca.crt", "tls.crt", "tls.key"})
CERTIFICATE_NAMES = ("controller", "service", "repository", "worker", "launcher")

# Name of the Secret, which is that of its reader, and its keys: the folders and files that
# `arcana secrets` makes.
GIVEN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "controller": frozenset({"download_secret"}),
        "service": frozenset({"token_secret"}),
        # For who signs access tokens.
        "auth": frozenset({"jwt_signing_key.pem"}),
        "repository": frozenset({"database_url", "redis_url"}),
        "worker": frozenset({"redis_url"}),
        # Of a user of the database who may change its tables; the tiers' own needs no such right.
        "migrate": frozenset({"database_url"}),
        "admin": frozenset({"password"}),
    }
)
GIVEN_IN_DEV: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **GIVEN,
        "mysql": frozenset({"accounts.sql", "root_password"}),
        "redis": frozenset({"users.acl"}),
        **{f"{name}-tls": CERTIFICATE_KEYS for name in CERTIFICATE_NAMES},
    }
)
GIVEN_IN_PRODUCTION: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **GIVEN,
        "blobs": frozenset({"credentials"}),
        "mail": frozenset({"smtp_url"}),
    }
)


def given_in(overlay: str) -> Mapping[str, frozenset[str]]:
    """Return the Secrets, with their keys, that somebody has to make for an overlay."""
    return GIVEN_IN_DEV if overlay == "dev" else GIVEN_IN_PRODUCTION
