"""What the launcher itself can be told; each tier has settings of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from launcher.peers import tls_variables
from tier_runtime.addresses import Address, Bind
from tier_runtime.channel import require_tier_url
from tier_runtime.settings import Rule
from tier_runtime.tls.files import TlsFiles
from tier_runtime.tls.settings import TLS_FIELDS, TlsSettings

# How the tiers are laid out, and what they speak to each other.
Mode = Literal["monolithic", "layered", "microservices"]
Protocol = Literal["grpc", "http"]

# The services of the service tier, as SERVICES and SERVICE_URLS call them.
SERVICES = ("auth", "users", "rate_limits", "products", "orders", "jobs", "events", "files")
# The one that accounts are made by, and the one that the worker hands jobs to.
ACCOUNTS_SERVICE = "users"
JOBS_SERVICE = "jobs"
# In microservices each service listens so many ports after the one before. The workers of a server
# are 100 ports apart, so that the two rules never meet.
SERVICE_PORT_STEP = 10
WORKER_PORT_STEP = 100
MAX_WORKERS = 64
# What SERVICE_URLS looks like, for those who have to write it.
SERVICE_URLS_FORM = ",".join(f"{name}=URL" for name in SERVICES)

_LATER_SERVICES = ", ".join(f"`{name}`" for name in SERVICES[1:])


class WiringSettings(TlsSettings):
    """What decides which program a command runs, and what it calls next."""

    deployment_mode: Mode = Field(
        default="layered",
        description="One process with all tiers (`monolithic`), one for each tier (`layered`), or "
        "one for each service of the service tier besides (`microservices`).",
    )
    communication_protocol: Protocol = Field(
        default="grpc", description="What the tiers speak to each other: gRPC or REST."
    )
    arcana_tls: bool = Field(
        default=False,
        description="Whether `up` has the tiers speak mutual TLS, by certificates that it makes "
        "under ARCANA_HOME/tls where there are none.",
    )
    service_bind: Bind = Field(
        default="127.0.0.1:50051",
        description="Where the service tier listens, host:port. In microservices "
        f"`{SERVICES[0]}` listens there, and each of {_LATER_SERVICES} {SERVICE_PORT_STEP} ports "
        "after the one before.",
    )
    repository_bind: Bind = Field(
        default="127.0.0.1:50052", description="Where the repository tier listens, host:port."
    )
    service_url: str = Field(
        default="", description="Where the service tier is; derived from SERVICE_BIND when unset."
    )
    service_urls: str = Field(
        default="",
        description=f"Where single services are, as `{SERVICE_URLS_FORM}`; derived from "
        "SERVICE_BIND in microservices when unset.",
    )
    repository_url: str = Field(
        default="",
        description="Where the repository tier is; derived from REPOSITORY_BIND when unset.",
    )

    def _calls_service_in_plaintext(self) -> str | None:
        return self._called(self.service_url)

    def _calls_services_in_plaintext(self) -> str | None:
        return self._called(*read_urls(self.service_urls).values())

    def _calls_repository_in_plaintext(self) -> str | None:
        return self._called(self.repository_url)

    def _called(self, *urls: str) -> str | None:
        return None if self.arcana_tls else self.called_in_plaintext(filter(None, urls))

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(("service_url", "arcana_tls", *TLS_FIELDS), _calls_service_in_plaintext),
        Rule(("service_urls", "arcana_tls", *TLS_FIELDS), _calls_services_in_plaintext),
        Rule(("repository_url", "arcana_tls", *TLS_FIELDS), _calls_repository_in_plaintext),
    )

    @field_validator("service_urls")
    @classmethod
    def _names_services(cls, text: str) -> str:
        unknown = [name for name in read_urls(text) if name not in SERVICES]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is none of the services {', '.join(SERVICES)}")
        for url in read_urls(text).values():
            require_tier_url(url)
        return text

    @field_validator("service_url", "repository_url")
    @classmethod
    def _leads_to_a_process(cls, url: str) -> str:
        return url and require_tier_url(url)

    def service_address(self, service: str = SERVICES[0]) -> Address:
        """Give the address that the process with this service listens on."""
        address = Address.parse(self.service_bind)
        if self.deployment_mode != "microservices":
            return address
        return Address(address.host, address.port + SERVICE_PORT_STEP * SERVICES.index(service))

    def service_target(self, service: str = ACCOUNTS_SERVICE, workers: int = 1) -> str:
        """Give the URL of a service."""
        if self.deployment_mode == "monolithic":
            # Inside, nobody calls it by a URL; for admin commands it listens all the same.
            return self.service_address().url("grpc")
        given = read_urls(self.service_urls).get(service) or self.service_url
        return given or self._url(self.service_address(service), workers)

    def repository_target(self, workers: int = 1) -> str:
        """Give the URL of the repository tier."""
        return self.repository_url or self._url(Address.parse(self.repository_bind), workers)

    def _url(self, address: Address, workers: int) -> str:
        scheme = self.communication_protocol
        if scheme == "http":
            return address.url(scheme)
        return join_urls([each.url(scheme) for each in worker_addresses(address, workers)])


class LauncherSettings(WiringSettings):
    """Settings of `arcana up` and of the admin commands."""

    arcana_home: Path = Field(
        default=Path(".arcana"),
        description="The folder in which `up` notes, while it runs, how it has laid out the tiers.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=MAX_WORKERS,
        description="Processes of each inner tier; the embedded database allows the repository "
        "tier one.",
    )
    controller_bind: Bind = Field(
        default="127.0.0.1:5000", description="Where the controller tier listens, host:port."
    )
    public_grpc_enabled: bool = Field(
        default=True, description="Whether the public gRPC API is served."
    )
    public_grpc_bind: Bind = Field(
        default="127.0.0.1:50050", description="Where the public gRPC API listens, host:port."
    )
    database_url: SecretStr | None = Field(
        default=None, description="Read to know whether the database is the embedded one."
    )
    arcana_worker: bool = Field(
        default=True,
        description="Whether `up` runs a worker, which does what comes after the answer.",
    )
    arcana_admin_email: str = Field(
        default="admin@arcana.local", description="E-mail of the admin made when there is none."
    )
    arcana_admin_password: SecretStr | None = Field(
        default=None,
        description="Password of that admin; made up, and printed once, when unset.",
    )
    arcana_start_seconds: float = Field(
        default=60.0, gt=0, le=600, description="How long `up` waits for a tier to be healthy (s)."
    )
    arcana_stop_seconds: float = Field(
        default=30.0,
        gt=0,
        le=600,
        description="How long `up` waits for a tier to end by itself before it is killed (s).",
    )

    @field_validator("controller_bind", "public_grpc_bind", "service_bind", "repository_bind")
    @classmethod
    def _has_a_port(cls, bind: str) -> str:
        # The tiers are told of each other before any of them listens.
        if Address.parse(bind).port == 0:
            raise ValueError(f"{bind!r} must name its port")
        return bind

    @property
    def tls_folder(self) -> Path:
        """Where the certificates are that `up` makes."""
        return self.arcana_home / "tls"

    def own_tls(self) -> TlsFiles | None:
        """Return what this program calls the tiers by, None where it is no TLS."""
        given = self.tls_files()
        if given is not None or not self.arcana_tls:
            return given
        return TlsFiles(*map(Path, tls_variables(self.tls_folder, "launcher").values()))

    @property
    def repository_workers(self) -> int:
        """How many processes the repository tier has."""
        return 1 if self.is_embedded else self.workers

    @property
    def is_embedded(self) -> bool:
        """True when the database is a SQLite file, which one process owns."""
        return self.database_url is None or self.database_url.get_secret_value().startswith(
            "sqlite"
        )

    def bind(self, name: Literal["controller", "public_grpc", "service", "repository"]) -> Address:
        """Give an address that something listens on."""
        return Address.parse(getattr(self, f"{name}_bind"))


def worker_addresses(address: Address, workers: int) -> list[Address]:
    """Give the addresses of a gRPC server's workers, of which the first is the server's own."""
    return [
        Address(address.host, address.port + WORKER_PORT_STEP * number) for number in range(workers)
    ]


def join_urls(urls: list[str]) -> str:
    """Make one URL of several addresses out of URLs of the same scheme."""
    scheme, _, _ = urls[0].partition("://")
    return f"{scheme}://" + ",".join(url.removeprefix(f"{scheme}://") for url in urls)


def split_url(url: str) -> list[str]:
    """Give a URL for each of its addresses; what a name stands for is not looked up."""
    scheme, separator, rest = url.partition("://")
    if scheme == "dns":
        return [url]
    return [f"{scheme}{separator}{address}" for address in rest.split(",")]


def read_urls(text: str) -> Mapping[str, str]:
    """Read `name=URL,name=URL`; a URL may itself hold several addresses, after commas.

    Raises:
        ValueError: it does not begin with a name.
    """
    urls: dict[str, str] = {}
    name = ""
    for piece in filter(None, map(str.strip, text.split(","))):
        before, equals, url = piece.partition("=")
        if equals:
            name = before.strip()
            urls[name] = url.strip()
        elif name:
            urls[name] += f",{piece}"
        else:
            raise ValueError(f"{piece!r} is not of the form name=URL")
    return MappingProxyType(urls)
