"""A program's environment as the manifests give it, with files of this machine for it to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from service_tier.keys import new_signing_pem
from tests.contract.manifests import Program
from tier_runtime.settings import TierSettings, load

# What S3's client reads by itself, as AWS's own tools do.
NAMES_OF_OTHERS = frozenset({"AWS_DEFAULT_REGION", "AWS_SHARED_CREDENTIALS_FILE"})
# Files that are made, not read, by whoever is told of them.
WRITTEN_FILES = frozenset({"AUDIT_LOG_FILE"})


def settings_of(found: Program, folder: Path) -> TierSettings:
    """Return what a program reads of its environment."""
    return load(found.reads, environ_on_disk(found, folder), None)


def environ_on_disk(found: Program, folder: Path) -> dict[str, str]:
    """Return a program's environment with files of this machine."""
    environ = {
        variable: value
        for variable, value in found.environ.items()
        if variable not in NAMES_OF_OTHERS
    }
    environ |= {name: str(folder / "written") for name in WRITTEN_FILES & set(environ)}
    environ |= dict(_files_of(found, environ, folder))
    return environ


def files_read(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that name a file to read, with its path."""
    return {
        variable: path
        for variable, path in environ.items()
        if variable.endswith("_FILE") and variable not in WRITTEN_FILES
    }


def _files_of(found: Program, environ: dict[str, str], folder: Path) -> Iterator[tuple[str, str]]:
    for variable, path in files_read(environ).items():
        secret = found.secret_at(path)
        assert secret is not None, path
        file = folder / "/".join(secret)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(_CONTENTS[secret[1]]())
        yield variable, str(file)


@cache
def _own_certificate() -> tuple[bytes, bytes]:
    """Return a key and a certificate that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anybody")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key.private_bytes(*form), made.public_bytes(Encoding.PEM)


_CONTENTS: Mapping[str, Callable[[], bytes]] = {
    "ca.crt": lambda: _own_certificate()[1],
    "tls.crt": lambda: _own_certificate()[1],
    "tls.key": lambda: _own_certificate()[0],
    "download_secret": lambda: b"x" * 48,
    "token_secret": lambda: b"x" * 48,
    "jwt_signing_key.pem": new_signing_pem,
    "database_url": lambda: b"mysql+pymysql://arcana:pw@mysql:3306/arcana?charset=utf8mb4",
    "redis_url": lambda: b"redis://user:pw@redis:6379/0",
    "smtp_url": lambda: b"smtps://user:pw@mail.example.org:465",
    "password": lambda: b"Correct-Horse-1",
}
