"""Who is who between the tiers, by certificate: the names, and the files of each."""

from __future__ import annotations

from pathlib import Path

# The first name of each certificate; in microservices all processes of the service tier use one.
PEERS = ("controller", "service", "repository", "worker", "launcher")

# What browsers and Apple's platforms accept at most of a certificate from a private authority.
MAX_CERTIFICATE_DAYS = 825
DEFAULT_CERTIFICATE_DAYS = 365

CA_FILE = "ca.crt"
CERTIFICATE_FILE = "tls.crt"
KEY_FILE = "tls.key"


def tls_variables(folder: Path, peer: str) -> dict[str, str]:
    """Give the variables by which a process is the peer whose certificate lies in the folder."""
    own = folder.absolute() / peer
    return {
        "TLS_CERT_FILE": str(own / CERTIFICATE_FILE),
        "TLS_KEY_FILE": str(own / KEY_FILE),
        "TLS_CA_FILE": str(own / CA_FILE),
    }
