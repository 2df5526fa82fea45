"""What the service tier can be told."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from service_tier.external_directory import require_directory_url
from service_tier.keys import require_signing_key, require_verification_key
from service_tier.mail.smtp import MailServer
from tier_runtime.addresses import Bind
from tier_runtime.channel import TierUrl
from tier_runtime.server import GrpcServerSettings
from tier_runtime.settings import Rule
from tier_runtime.startup import StartupError
from tier_runtime.tier import ServedSettings, Serving
from tier_runtime.tls.settings import TLS_FIELDS, everybody_fault

MIN_SECRET_BYTES = 32

# No access token outlives it, whatever the setting was when the token was signed.
MAX_ACCESS_TOKEN_EXPIRES = 86_400

# scrypt's N, r and p. Weaker than OWASP's is for tests, so it is taken, but not by default.
_SCRYPT = re.compile(r"scrypt:([1-9][0-9]*):([1-9][0-9]*):([1-9][0-9]*)")
_MAX_HASH_BYTES = 1 << 30
# What a mail's header and a link can hold without being quoted.
_MAIL_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
_BASE_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]_~/%-]+")


ServiceName = Literal[
    "auth", "users", "rate_limits", "products", "orders", "jobs", "events", "files"
]


class ServiceSettings(ServedSettings):
    """The settings of the service tier. Times are in seconds."""

    service_bind: Bind = Field(
        default="127.0.0.1:50051", description="Where the tier listens, as host:port."
    )
    service_callers: tuple[str, ...] = Field(
        default=("controller", "worker", "launcher"),
        min_length=1,
        description="Who may call the tier under TLS: names in the certificates of its peers.",
    )
    services: tuple[ServiceName, ...] = Field(
        default=(
            "auth",
            "users",
            "rate_limits",
            "products",
            "orders",
            "jobs",
            "events",
            "files",
        ),
        min_length=1,
        description="The services that this process serves, of auth, users, rate_limits, "
        "products, orders, jobs, events and files; where events is, what they call for is done as "
        "well.",
    )
    repository_url: TierUrl = Field(
        default="grpc://127.0.0.1:50052",
        description="Where the repository tier is: grpc://host:port[,host:port...], "
        "dns:///name:port or http://host:port[,host:port...].",
    )
    arcana_home: Path = Field(
        default=Path(".arcana"),
        description="The folder in which keys and secrets are kept that are made on first start.",
    )
    jwt_algorithm: Literal["EdDSA", "HS256"] = Field(
        default="EdDSA", description="How access tokens are signed."
    )
    jwt_issuer: str = Field(
        default="arcana", min_length=1, description="The `iss` claim of access tokens."
    )
    jwt_audience: str = Field(
        default="arcana-api", min_length=1, description="The `aud` claim of access tokens."
    )
    jwt_signing_key_file: Path | None = Field(
        default=None,
        description="The Ed25519 private key (PEM) that signs access tokens; when not set, one "
        "is made under ARCANA_HOME/keys.",
    )
    jwt_verification_key_files: tuple[Path, ...] = Field(
        default=(),
        description="Further Ed25519 keys (PEM, public or private) that are published for "
        "verification: the one before and the one after a rotation.",
    )
    jwt_secret: SecretStr | None = Field(
        default=None,
        description="The shared secret of HS256, 32 bytes or more; the controller tier needs the "
        "same.",
    )
    access_token_expires: int = Field(
        default=3600,
        ge=1,
        le=MAX_ACCESS_TOKEN_EXPIRES,
        description="How long an access token lives.",
    )
    refresh_token_expires: int = Field(
        default=604_800,
        ge=1,
        le=31_536_000,
        description="How long a refresh token lives; each refresh begins anew.",
    )
    token_secret: SecretStr | None = Field(
        default=None,
        description="Keys one-time tokens and idempotency fingerprints, 32 bytes or more; when "
        "not set, it is made under ARCANA_HOME/keys.",
    )
    password_hash_method: str = Field(
        default="scrypt:131072:8:1",
        description="scrypt:N:r:p for new password hashes; one takes 128*N*r*p bytes of memory. "
        "Older hashes are replaced at the next sign-in.",
    )
    hash_concurrency: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Passwords hashed at the same time; 0 means one for each processor.",
    )
    hash_queue: int = Field(
        default=16,
        ge=0,
        le=1024,
        description="Calls that may wait for their turn to hash; more are refused at once.",
    )
    service_threads: int = Field(
        default=16,
        ge=1,
        le=1024,
        description="Calls served at the same time, besides those that hash or stream: these "
        "have threads of their own.",
    )
    service_max_streams: int = Field(
        default=32,
        ge=1,
        le=256,
        description="Streams open at the same time, those of files that come or go among them.",
    )
    file_quota_bytes: int = Field(
        default=1_073_741_824,
        ge=1,
        description="How large all files of one user may be together, in bytes.",
    )
    download_url_expires: int = Field(
        default=300,
        ge=1,
        le=604_800,
        description="How long a link to download a file is good.",
    )
    service_max_followers: int = Field(
        default=16,
        ge=1,
        le=256,
        description="Streams of the live view of events, on top of SERVICE_MAX_STREAMS.",
    )
    service_max_concurrent_rpcs: int = Field(
        default=256,
        ge=1,
        description="Calls accepted at the same time, waiting ones included; more are refused.",
    )
    service_drain_seconds: float = Field(
        default=20.0, ge=0, description="How long calls in flight may take to end after SIGTERM."
    )
    grpc_reflection: bool = Field(
        default=True, description="Whether the gRPC servers tell what they serve."
    )
    coalesce_max_batch: int = Field(
        default=64,
        ge=1,
        le=256,
        description="Reads of single users, or of single products, at the same time that go on "
        "as one call; 1 sends each alone.",
    )
    health_probe_interval: float = Field(
        default=1.0, gt=0, description="How often the repository tier is asked how it is."
    )
    job_lease_seconds: int = Field(
        default=60,
        ge=2,
        le=3600,
        description="How long a job is one worker's without a word from it; a mail must be sent, "
        "and each step of a longer job done, within that time.",
    )
    smtp_url: SecretStr | None = Field(
        default=None,
        description="The mail server: `smtp://user:password@host:587`, which must offer STARTTLS "
        "unless it is on this machine, or `smtps://…:465`. When not set, mails become .eml files "
        "under ARCANA_HOME/mail.",
    )
    smtp_ca_file: Path | None = Field(
        default=None,
        description="The certificates (PEM) that the mail server's is checked against; those of "
        "the system when not set.",
    )
    mail_from: str = Field(
        default="no-reply@arcana.local", description="The address that mails are from."
    )
    mail_from_name: str = Field(default="Arcana", description="The name that mails are from.")
    user_sync_url: str = Field(
        default="",
        description="The external directory that users are pushed to, as PUT URL/<id>: https://, "
        "or http:// on this machine. When not set, none is pushed.",
    )
    user_sync_token: SecretStr | None = Field(
        default=None, description="The bearer token that opens the external directory."
    )
    public_base_url: str = Field(
        default="http://127.0.0.1:5000",
        description="What the links in mails begin with, http:// or https://, without a query.",
    )

    @field_validator("password_hash_method")
    @classmethod
    def _is_scrypt(cls, method: str) -> str:
        match = _SCRYPT.fullmatch(method)
        if match is None:
            raise ValueError("must be written scrypt:N:r:p")
        n, r, p = (int(number) for number in match.groups())
        if n < 2 or n & (n - 1) or 128 * n * r * p > _MAX_HASH_BYTES:
            raise ValueError("N must be a power of two, and 128*N*r*p at most 1 GiB")
        return method

    @field_validator("token_secret")
    @classmethod
    def _is_long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"must have {MIN_SECRET_BYTES} bytes or more")
        return secret

    @field_validator("jwt_signing_key_file")
    @classmethod
    def _can_sign(cls, path: Path | None, known: ValidationInfo) -> Path | None:
        if path is not None and _uses_key_files(known):
            _refuse_unusable([path], require_signing_key)
        return path

    @field_validator("jwt_verification_key_files")
    @classmethod
    def _can_verify(cls, paths: tuple[Path, ...], known: ValidationInfo) -> tuple[Path, ...]:
        if _uses_key_files(known):
            _refuse_unusable(paths, require_verification_key)
        return paths

    @field_validator("smtp_url")
    @classmethod
    def _is_a_mail_server(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            MailServer.parse(url.get_secret_value())
        return url

    @field_validator("smtp_ca_file")
    @classmethod
    def _holds_certificates(cls, path: Path | None) -> Path | None:
        if path is not None:
            try:
                ssl.create_default_context(cafile=path)
            except OSError as error:
                raise ValueError(f"cannot be read as certificates: {error.strerror}") from error
        return path

    @field_validator("mail_from")
    @classmethod
    def _is_an_address(cls, address: str) -> str:
        if _MAIL_ADDRESS.fullmatch(address) is None:
            raise ValueError("must be an e-mail address")
        return address

    @field_validator("user_sync_url")
    @classmethod
    def _is_a_directory(cls, url: str) -> str:
        return url and require_directory_url(url)

    @field_validator("user_sync_token")
    @classmethod
    def _is_a_token(cls, token: SecretStr | None) -> SecretStr | None:
        # What fits into a header: the error of one that does not would show it in the log.
        if token is not None and re.fullmatch(r"[!-~]*", token.get_secret_value()) is None:
            raise ValueError("must be printable ASCII without spaces")
        return token

    @field_validator("public_base_url")
    @classmethod
    def _is_a_base(cls, url: str) -> str:
        if _BASE_URL.fullmatch(url) is None:
            raise ValueError("must be an http:// or https:// URL without query and fragment")
        return url

    def _lacks_its_secret(self) -> str | None:
        # Only auth signs. In microservices the other processes are not even told the secret.
        secret = self.jwt_secret.get_secret_value() if self.jwt_secret else ""
        signs = self.jwt_algorithm == "HS256" and "auth" in self.services
        if not signs or len(secret.encode()) >= MIN_SECRET_BYTES:
            return None
        return f"HS256 needs a secret of at least {MIN_SECRET_BYTES} bytes"

    def _is_open(self) -> str | None:
        return self.served_in_plaintext(self.service_bind)

    def _calls_in_plaintext(self) -> str | None:
        return self.called_in_plaintext([self.repository_url])

    def _serves_everybody(self) -> str | None:
        return everybody_fault(self.service_callers)

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(("service_bind", *TLS_FIELDS), _is_open),
        Rule(("repository_url", *TLS_FIELDS), _calls_in_plaintext),
        Rule(("service_callers",), _serves_everybody),
        Rule(("jwt_secret", "jwt_algorithm", "services"), _lacks_its_secret),
    )

    @property
    def hash_slots(self) -> int:
        """How many passwords are hashed at the same time."""
        return self.hash_concurrency or os.cpu_count() or 1

    def serving(self) -> Serving:
        """Return how the tier is served."""
        return Serving(
            "service",
            self.communication_protocol,
            self.workers,
            self.server(),
            health_bind=self.health_bind,
        )

    def server(self) -> GrpcServerSettings:
        """Return how one process of it serves.

        Whoever hashes, waits to hash, or streams holds a thread, so each of these has one on top
        of those for everything else: a storm of sign-ins finds its queue full, not the server.
        """
        threads = (
            self.service_threads
            + self.service_max_streams
            + self.service_max_followers
            + self.hash_slots
            + self.hash_queue
        )
        return GrpcServerSettings(
            bind=self.service_bind,
            threads=threads,
            max_concurrent_rpcs=max(self.service_max_concurrent_rpcs, threads),
            max_open_streams=self.service_max_streams,
            max_open_streams_of={
                "/arcana.service.v1.EventService/StreamEvents": self.service_max_followers
            },
            # One RPC of the repository tier, and at most a hundred messages.
            short_streams=frozenset({"/arcana.service.v1.ProductService/SearchProducts"}),
            drain_seconds=self.service_drain_seconds,
            tls=self.server_tls(self.service_callers),
            reflection=self.grpc_reflection,
            # Every worker of the edge asks it four times a second.
            quiet_methods=("/arcana.service.v1.AuthService/ListAccessChanges",),
        )


def _uses_key_files(known: ValidationInfo) -> bool:
    # HS256 reads none of them, so one that is left over from EdDSA does no harm.
    return known.data.get("jwt_algorithm") != "HS256"


def _refuse_unusable(paths: Iterable[Path], require: Callable[[Path], None]) -> None:
    """Read each key file, so that a check of the settings finds what a start would."""
    faults = []
    for path in paths:
        try:
            require(path)
        except StartupError as error:
            faults.append(str(error))
    if faults:
        raise ValueError(" ".join(faults))
