"""What the controller tier can be told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from tier_runtime.addresses import Bind
from tier_runtime.channel import TierUrl, require_tier_url
from tier_runtime.settings import Rule
from tier_runtime.tls.settings import TLS_FIELDS, TlsSettings

# RFC 7518, section 3.2: a key at least as long as the hash. PyJWT would take five bytes.
MIN_SECRET_BYTES = 32

_ORIGIN = re.compile(r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?")
_RATE = re.compile(r"([1-9]\d{0,8})/([1-9]\d{0,4})")
MAX_WINDOW_SECONDS = 86_400

# What the address of SERVICE_URL is called beside the single services.
DEFAULT_NEIGHBOUR = "service"
# The services that can have an address of their own.
_SERVICES = ("auth", "users", "rate_limits", "products", "orders", "jobs", "events", "files")


class ControllerSettings(TlsSettings):
    """The settings of the edge."""

    controller_bind: Bind = Field(
        default="127.0.0.1:5000",
        description="Listen address of the HTTP API, host:port; port 0 takes a free one.",
    )
    service_url: TierUrl = Field(
        default="grpc://127.0.0.1:50051", description="Where the service tier is."
    )
    service_urls: list[str] = Field(
        default_factory=list,
        description="Where single services are that are not at SERVICE_URL, as "
        f"`{','.join(f'{name}=URL' for name in _SERVICES)}`.",
    )
    circuit_breaker_failures: int = Field(
        default=5,
        ge=1,
        description="After so many RPCs in a row without an answer an address of the service tier "
        "is left alone.",
    )
    circuit_breaker_seconds: float = Field(
        default=0.5,
        gt=0,
        le=300,
        description="How long it is left alone before one RPC tries again, in seconds.",
    )
    coalesce_max_batch: int = Field(
        default=64,
        ge=1,
        le=256,
        description="Reads of single users, and of single products, under way at the same time "
        "that one RPC may carry; 1 sends each by itself.",
    )
    public_grpc_enabled: bool = Field(
        default=True, description="Whether the public gRPC API is served."
    )
    public_grpc_bind: Bind = Field(
        default="127.0.0.1:50050",
        description="Listen address of the public gRPC API, host:port; port 0 takes a free one.",
    )
    public_grpc_threads: int = Field(
        default=16,
        ge=2,
        le=512,
        description="RPCs of the public gRPC API that one worker serves at the same time.",
    )
    public_grpc_max_streams: int = Field(
        default=8,
        ge=1,
        le=256,
        description="How many of them may be streams; fewer than PUBLIC_GRPC_THREADS.",
    )
    public_grpc_stream_seconds: float = Field(
        default=300.0,
        gt=0,
        # Connections between the tiers give what is in flight a little more than that.
        le=300,
        description="How long a stream of any length may take over the public gRPC API, in "
        "seconds; whoever keeps it waiting for longer than REQUEST_TIMEOUT_SECONDS ends it.",
    )
    public_grpc_max_watches: int = Field(
        default=64,
        ge=0,
        le=4096,
        description="Clients of the public gRPC API that may watch the health of one worker.",
    )
    web_workers: int = Field(default=2, ge=1, le=64, description="HTTP worker processes.")
    web_threads: int = Field(
        default=16, ge=1, le=512, description="Requests that one worker serves at the same time."
    )
    event_streams: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Streams of GET /events that one worker holds at the same time, each with a "
        "thread; fewer than WEB_THREADS. 0 means a quarter of WEB_THREADS.",
    )
    event_stream_seconds: float = Field(
        default=300.0,
        gt=1,
        # As for the public gRPC API.
        le=300,
        description="How long such a stream takes before its client has to come back, in seconds.",
    )
    web_keepalive_seconds: int = Field(
        default=65,
        ge=0,
        le=3600,
        description="How long an idle connection stays open, in seconds.",
    )
    client_timeout_seconds: int = Field(
        default=15,
        ge=1,
        le=300,
        description="How long a client may be silent in the middle of a request, in seconds.",
    )
    drain_seconds: int = Field(
        default=20,
        ge=1,
        le=300,
        description="How long requests in flight may take to end after SIGTERM, in seconds.",
    )
    request_timeout_seconds: float = Field(
        default=5.0,
        gt=0,
        # The feed of access changes reads back 15 s: a change must be committed by then.
        le=10,
        description="The deadline of a request, set at the edge, in seconds.",
    )
    max_body_bytes: int = Field(
        default=1_048_576,
        ge=1,
        description="Largest body of a request, in bytes; a file may be larger than that.",
    )
    transfer_timeout_seconds: float = Field(
        default=300.0,
        gt=0,
        # Connections between the tiers give what is in flight a little more than that.
        le=300,
        description="How long the upload or the download of a file may take, in seconds.",
    )
    web_max_transfers: int = Field(
        default=0,
        ge=0,
        le=512,
        description="Uploads and downloads that one worker serves at the same time; 0 means half "
        "of WEB_THREADS.",
    )
    arcana_home: Path = Field(
        default=Path(".arcana"),
        description="The folder in which a secret is kept that is made on first start.",
    )
    download_secret: SecretStr | None = Field(
        default=None,
        description="Signs links to download files, 32 bytes or more; when not set, it is made "
        "under ARCANA_HOME/keys. All replicas need the same.",
    )
    trusted_proxies: int = Field(
        default=0,
        ge=0,
        le=10,
        description="How many proxies stand in front and set X-Forwarded-For and -Proto.",
    )
    cors_origins: list[str] = Field(
        default_factory=list,
        description="Origins whose pages may call the API, such as https://app.example.org.",
    )
    require_if_match: bool = Field(
        default=False,
        description="Whether a change of a versioned resource must name its version (428).",
    )

    jwt_algorithm: Literal["EdDSA", "HS256"] = Field(
        default="EdDSA", description="The one algorithm that access tokens are signed with."
    )
    jwt_secret: SecretStr | None = Field(
        default=None, description="The shared secret of HS256, at least 32 bytes; unused otherwise."
    )
    jwt_issuer: str = Field(default="arcana", description="What `iss` must say.")
    jwt_audience: str = Field(default="arcana-api", description="What `aud` must say.")
    jwks_max_age_seconds: float = Field(
        default=60.0,
        gt=0,
        description="How old the service tier's public keys may be before they are read again.",
    )
    token_cache_size: int = Field(
        default=20_000, ge=0, description="Verified tokens that one worker remembers."
    )
    access_feed_interval: float = Field(
        default=0.25,
        gt=0,
        description="How often a worker asks what changed about access, in seconds.",
    )
    access_feed_max_age: float = Field(
        default=1.0,
        gt=0,
        description="How old that knowledge may be before each request asks by itself, in seconds.",
    )

    rate_limit_enabled: bool = Field(
        default=True, description="Whether the limits below are enforced."
    )
    rate_limit_timeout_seconds: float = Field(
        default=0.5,
        gt=0,
        description="How long the shared counters may take before the worker's own are used.",
    )
    rate_limit_fallback_divisor: int = Field(
        default=4,
        ge=1,
        description="By how much stricter the worker's own limits are than the shared ones.",
    )
    rate_limit_register_ip: str = Field(
        default="200/60", description="Registrations from one address, as count/seconds."
    )
    rate_limit_login_email: str = Field(
        default="30/60", description="Logins to one e-mail address, as count/seconds."
    )
    rate_limit_login_ip: str = Field(
        default="600/60", description="Logins from one address, as count/seconds."
    )
    rate_limit_refresh_ip: str = Field(
        default="600/60", description="Refreshes from one address, as count/seconds."
    )
    rate_limit_password_reset_email: str = Field(
        default="5/60", description="Reset mails to one e-mail address, as count/seconds."
    )
    rate_limit_password_reset_ip: str = Field(
        default="60/60",
        description="Reset requests and reset confirmations from one address, as count/seconds.",
    )
    rate_limit_verify_email_ip: str = Field(
        default="60/60",
        description="Address verifications and resends from one address, as count/seconds.",
    )
    rate_limit_change_password_user: str = Field(
        default="30/60", description="Password changes of one user, as count/seconds."
    )

    @field_validator("service_urls")
    @classmethod
    def _are_addresses(cls, pieces: list[str]) -> list[str]:
        for service, url in _addresses(pieces).items():
            if service not in _SERVICES:
                raise ValueError(f"{service!r} is none of the services {', '.join(_SERVICES)}")
            require_tier_url(url)
        return pieces

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if _ORIGIN.fullmatch(origin) is None:
                raise ValueError(f"{origin!r} is not an origin such as https://app.example.org")
        return origins

    @field_validator(
        "rate_limit_register_ip",
        "rate_limit_login_email",
        "rate_limit_login_ip",
        "rate_limit_refresh_ip",
        "rate_limit_password_reset_email",
        "rate_limit_password_reset_ip",
        "rate_limit_verify_email_ip",
        "rate_limit_change_password_user",
    )
    @classmethod
    def _is_rate(cls, text: str) -> str:
        match = _RATE.fullmatch(text)
        if match is None or int(match[2]) > MAX_WINDOW_SECONDS:
            raise ValueError("is not count/seconds, such as 30/60, with at most 86400 seconds")
        return text

    @property
    def feeds(self) -> int:
        """How many streams of events one worker holds at the same time."""
        return self.event_streams or max(self.web_threads // 4, 1)

    @property
    def transfers(self) -> int:
        """How many uploads and downloads one worker serves at the same time."""
        return self.web_max_transfers or max(self.web_threads // 2, 1)

    @field_validator("download_secret")
    @classmethod
    def _is_long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"must have {MIN_SECRET_BYTES} bytes or more")
        return secret

    def neighbour_of(self, service: str) -> tuple[str, str]:
        """Return what the address of a service is called, and its URL.

        `service` is a name as in SERVICE_URLS.
        """
        url = _addresses(self.service_urls).get(service)
        return (DEFAULT_NEIGHBOUR, self.service_url) if url is None else (service, url)

    def _streams_take_all_threads(self) -> str | None:
        if self.public_grpc_max_streams < self.public_grpc_threads:
            return None
        return "must be fewer than PUBLIC_GRPC_THREADS, since each stream holds a thread"

    def _event_streams_take_all_threads(self) -> str | None:
        if self.event_streams < self.web_threads:
            return None
        return "must be fewer than WEB_THREADS, since each stream holds a thread"

    def _lacks_its_secret(self) -> str | None:
        secret = self.jwt_secret.get_secret_value() if self.jwt_secret else ""
        if self.jwt_algorithm != "HS256" or len(secret.encode()) >= MIN_SECRET_BYTES:
            return None
        return f"HS256 needs a secret of at least {MIN_SECRET_BYTES} bytes"

    def _calls_in_plaintext(self) -> str | None:
        return self.called_in_plaintext([self.service_url])

    def _calls_some_in_plaintext(self) -> str | None:
        return self.called_in_plaintext(_addresses(self.service_urls).values())

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(("service_url", *TLS_FIELDS), _calls_in_plaintext),
        Rule(("service_urls", *TLS_FIELDS), _calls_some_in_plaintext),
        Rule(("public_grpc_max_streams", "public_grpc_threads"), _streams_take_all_threads),
        Rule(("event_streams", "web_threads"), _event_streams_take_all_threads),
        Rule(("jwt_secret", "jwt_algorithm"), _lacks_its_secret),
    )


def _addresses(pieces: list[str]) -> dict[str, str]:
    """Read `name=URL` pieces; one without a name goes on with the URL before it.

    A URL may hold several addresses, and the same comma stands between those.
    """
    urls: dict[str, str] = {}
    service = ""
    for piece in pieces:
        before, equals, url = piece.partition("=")
        if equals:
            service = before.strip()
            urls[service] = url.strip()
        elif service:
            urls[service] += f",{piece}"
        else:
            raise ValueError(f"{piece!r} is not of the form name=URL")
    return urls
