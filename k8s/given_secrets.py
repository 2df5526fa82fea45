"""The Secrets that the manifests refer to and never hold: whoever deploys makes them.

docs/kubernetes.md says what goes into each; `python -m k8s.dev_secrets` makes those of the overlay
`dev`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# What holds the certificate of a process and its key. In the overlay `dev` they are given;
# elsewhere cert-manager makes them.
CERTIFICATE_KEYS = frozenset({"ca.crt", "tls.crt", "tls.key"})
CERTIFICATE_NAMES = ("controller", "service", "repository", "worker", "launcher")

# Name of the Secret, and its keys.
GIVEN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "controller-keys": frozenset({"download-secret"}),
        "service-keys": frozenset({"jwt-signing-key.pem", "token-secret"}),
        "repository-stores": frozenset({"database-url", "redis-url"}),
        "worker-stores": frozenset({"redis-url"}),
        # Of a user of the database who may change its tables; the tiers' own needs no such right.
        "migrate-stores": frozenset({"database-url"}),
        "admin": frozenset({"password"}),
    }
)
GIVEN_IN_DEV: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **GIVEN,
        "mysql": frozenset({"password", "root-password"}),
        **{f"{name}-tls": CERTIFICATE_KEYS for name in CERTIFICATE_NAMES},
    }
)
GIVEN_IN_PRODUCTION: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **GIVEN,
        "repository-blobs": frozenset({"credentials"}),
        "service-mail": frozenset({"smtp-url"}),
    }
)


def given_in(overlay: str) -> Mapping[str, frozenset[str]]:
    """Return the Secrets, with their keys, that somebody has to make for an overlay."""
    return GIVEN_IN_DEV if overlay == "dev" else GIVEN_IN_PRODUCTION
