"""The keys that access tokens are signed with, and those they can be verified with.

An Ed25519 key (RFC 8037) lives in a PEM file. To rotate: publish the next key by naming it in
JWT_VERIFICATION_KEY_FILES, sign with it once every verifier has it, and keep the old one among the
verification keys until the last token it signed has expired.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from tier_runtime.secrets import read_or_create_secret
from tier_runtime.startup import StartupError


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public Ed25519 key as a JWK; `x` is the key in base64url without padding."""

    x: str

    @property
    def kid(self) -> str:
        """The key's RFC 7638 thumbprint."""
        # The members that RFC 8037, section 2, requires, in lexicographic order, without space.
        members = {"crv": "Ed25519", "kty": "OKP", "x": self.x}
        canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
        return _base64url(hashlib.sha256(canonical.encode()).digest())


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What signs access tokens: an Ed25519 key, or a shared secret that has no public half."""

    algorithm: str
    key: Ed25519PrivateKey | bytes = field(repr=False)
    public: PublicKey | None = None


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The key that signs, and every public key that verifiers shall know, the signing one first."""

    signing: SigningKey
    published: tuple[PublicKey, ...]


def shared_secret_ring(secret: bytes) -> KeyRing:
    """Return the ring of HS256 tokens; it publishes nothing."""
    return KeyRing(SigningKey("HS256", secret), ())


def ed25519_ring(signing_pem: bytes, verification_pems: Iterable[tuple[Path, bytes]]) -> KeyRing:
    """Return the ring of EdDSA tokens; verification keys may be public or private PEM.

    Raises:
        StartupError: a PEM is not an Ed25519 key.
    """
    private = _private_key(signing_pem)
    public = _public_half(private.public_key())
    others = [_verification_key(path, pem) for path, pem in verification_pems]
    # The signing key may be named among the others; each is published once, in this order.
    published = tuple(dict.fromkeys([public, *others]))
    return KeyRing(SigningKey("EdDSA", private, public), published)


def read_signing_pem(home: Path, named: Path | None) -> bytes:
    """Return the signing key's PEM: from the named file, else from one made on the first start.

    A named file is never made: a mistyped path would sign with a key that nobody expects.

    Raises:
        StartupError: the file cannot be read or made.
    """
    if named is not None:
        return read_pem(named)
    return read_or_create_secret(home / "keys" / "jwt_signing_key.pem", new_signing_pem)


def read_pem(path: Path) -> bytes:
    """Return what the file holds.

    Raises:
        StartupError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartupError(f"Cannot read the key file {path}: {error.strerror}.") from error


def require_signing_key(path: Path) -> None:
    """Do nothing if the file holds a key that can sign.

    Raises:
        StartupError: it cannot be read, or is no private Ed25519 key.
    """
    _private_key(read_pem(path))


def require_verification_key(path: Path) -> None:
    """Do nothing if the file holds a key that can verify, or its private half.

    Raises:
        StartupError: it cannot be read, or is no Ed25519 key.
    """
    _verification_key(path, read_pem(path))


def new_signing_pem() -> bytes:
    """Return a new Ed25519 key as PKCS #8 PEM."""
    return Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def _private_key(pem: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Not "from": the error may quote the file.
        raise StartupError("The signing key is not an unencrypted private key in PEM.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise StartupError("The signing key is not an Ed25519 key.")
    return key


def _verification_key(path: Path, pem: bytes) -> PublicKey:
    try:
        if b"PRIVATE KEY" in pem:
            return _public_half(_private_key(pem).public_key())
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm, StartupError):
        raise StartupError(f"The verification key {path} is not a key in PEM.") from None
    if not isinstance(key, Ed25519PublicKey):
        raise StartupError(f"The verification key {path} is not an Ed25519 key.")
    return _public_half(key)


def _public_half(key: Ed25519PublicKey) -> PublicKey:
    return PublicKey(_base64url(key.public_bytes(Encoding.Raw, PublicFormat.Raw)))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
