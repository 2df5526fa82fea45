"""A certificate authority for development, and a certificate of it for each peer between tiers.

Production brings its own authority (cert-manager, Vault, a mesh); the files have the same names.
"""

from __future__ import annotations

import ipaddress
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from launcher.peers import (
    CA_FILE,
    CERTIFICATE_FILE,
    DEFAULT_CERTIFICATE_DAYS,
    KEY_FILE,
    PEERS,
    tls_variables,
)
from tier_runtime.secrets import make_private_folder
from tier_runtime.startup import StartupError
from tier_runtime.tls.files import TlsFiles, TlsFilesError

CA_KEY_FILE = "ca.key"
_CA_DAYS = 3650
# Clocks of two machines may differ by so much.
_BACKDATED = timedelta(minutes=5)
# So long before its end `arcana up --tls` makes a certificate anew.
_RENEWED_BEFORE = timedelta(days=30)
# Whoever starts everything on one machine calls every peer by these.
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Made:
    """A certificate that was just made, and until when it is good."""

    path: Path
    names: tuple[str, ...]
    ends: datetime


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_certificates(
    folder: Path,
    also: Mapping[str, Sequence[str]] | None = None,
    *,
    days: int = DEFAULT_CERTIFICATE_DAYS,
    now: datetime | None = None,
) -> list[Made]:
    """Make the authority unless it is there, and every peer's certificate anew.

    The folder gets `ca.crt` and `ca.key`, and for each peer a folder of its name with `ca.crt`,
    `tls.crt` and `tls.key`. Keys can be read by their owner only. Each file is replaced whole, so
    that who serves by it can read it again at any moment.

    Args:
        folder: where; made when it is not there.
        also: further names or IP addresses, by peer.
        days: how long the certificates are good, 1 to 825.
        now: when that begins; the system's clock by default.

    Raises:
        StartupError: a name is none of a host or of a peer, or the folder cannot be used.
    """
    further = also or {}
    unknown = [name for name in further if name not in PEERS]
    if unknown:
        raise StartupError(f"{unknown[0]!r} is none of the peers {', '.join(PEERS)}.")
    names = {
        peer: list(dict.fromkeys([peer, *further.get(peer, ()), *_THIS_MACHINE])) for peer in PEERS
    }
    # Before anything is written: all of it or nothing.
    for each in names.values():
        _general_names(each)
    begins = now or datetime.now(UTC)
    try:
        authority, made = _kept_authority(folder, begins) or _new_authority(folder, begins)
        ends = min(begins + timedelta(days=days), authority.certificate.not_valid_after_utc)
        for peer, each in names.items():
            made.append(_make_leaf(folder / peer, each, authority, begins, ends))
    except OSError as error:
        raise StartupError(f"Cannot keep certificates in {folder}: {error.strerror}.") from error
    return made


def need_renewal(folder: Path, now: datetime | None = None) -> bool:
    """True when a peer's files are missing or of no use together, or end within a month."""
    soon = (now or datetime.now(UTC)) + _RENEWED_BEFORE
    for peer in PEERS:
        files = TlsFiles(*map(Path, tls_variables(folder, peer).values()))
        try:
            content = files.require_usable().certificate
        except TlsFilesError:
            return True
        if x509.load_pem_x509_certificate(content).not_valid_after_utc < soon:
            return True
    return False


def read_also(words: Iterable[str]) -> dict[str, list[str]]:
    """Read `peer=name` words.

    Raises:
        StartupError: a word is not of that form.
    """
    also: dict[str, list[str]] = {}
    for word in words:
        peer, equals, name = word.partition("=")
        if not (peer and equals and name):
            raise StartupError(f"--also {word}: is not of the form peer=name.")
        also.setdefault(peer, []).append(name)
    return also


def _kept_authority(folder: Path, now: datetime) -> tuple[_Authority, list[Made]] | None:
    certificate_file, key_file = folder / CA_FILE, folder / CA_KEY_FILE
    if not (certificate_file.exists() or key_file.exists()):
        return None
    if not (certificate_file.exists() or any((folder / peer).exists() for peer in PEERS)):
        # Whoever made the key was ended there: no certificate is by it.
        return None
    if not (certificate_file.exists() and key_file.exists()):
        missing = key_file if certificate_file.exists() else certificate_file
        raise StartupError(
            f"{folder} holds a part of an authority: {missing.name} is missing. It is never "
            "replaced: put it back, or name another folder."
        )
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise StartupError(f"{folder} holds an authority that cannot be read.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != (
        certificate.public_key()
    ):
        raise StartupError(f"{key_file} is not the key of {certificate_file}.")
    if certificate.not_valid_after_utc <= now:
        raise StartupError(
            f"The authority in {folder} has expired; it is never replaced: name another folder."
        )
    return _Authority(certificate, key), []


def _new_authority(folder: Path, now: datetime) -> tuple[_Authority, list[Made]]:
    make_private_folder(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Arcana development CA")])
    ends = now + timedelta(days=_CA_DAYS)
    certificate = (
        _builder(name, name, key, now, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(is_authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(folder / CA_KEY_FILE, _key_pem(key), 0o600)
    _write(folder / CA_FILE, _certificate_pem(certificate), 0o644)
    return _Authority(certificate, key), [Made(folder / CA_FILE, (), ends)]


def _make_leaf(
    folder: Path, names: Sequence[str], authority: _Authority, begins: datetime, ends: datetime
) -> Made:
    make_private_folder(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    both_ways = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _builder(subject, issuer.subject, key, begins, ends)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both_ways), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
    _write(folder / CA_FILE, _certificate_pem(issuer), 0o644)
    _write(folder / KEY_FILE, _key_pem(key), 0o600)
    _write(folder / CERTIFICATE_FILE, _certificate_pem(certificate), 0o644)
    return Made(folder / CERTIFICATE_FILE, tuple(names), ends)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    begins: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins - _BACKDATED)
        .not_valid_after(ends)
    )


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    return [_general_name(name) for name in names]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if not name.isascii() or not name or set(name) & set(" ,/:@=\t\n"):
        raise StartupError(f"{name!r} is neither the name of a host nor an IP address.")
    return x509.DNSName(name)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes, mode: int) -> None:
    # mkstemp makes the file with mode 0600: a key is never anybody else's to read.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
