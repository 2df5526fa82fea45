"""What the launcher itself can be told; each tier has settings of its own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from tier_runtime.addresses import Address, Bind
from tier_runtime.settings import TierSettings


class LauncherSettings(TierSettings):
    """Settings of `arcana up` and of the admin commands."""

    deployment_mode: str = Field(
        default="layered", description="How the tiers are laid out. Now: `layered`."
    )
    communication_protocol: str = Field(
        default="grpc", description="What the tiers speak to each other. Now: `grpc`."
    )
    controller_bind: Bind = Field(
        default="127.0.0.1:5000", description="Where the controller tier listens, host:port."
    )
    service_bind: Bind = Field(
        default="127.0.0.1:50051", description="Where the service tier listens, host:port."
    )
    repository_bind: Bind = Field(
        default="127.0.0.1:50052", description="Where the repository tier listens, host:port."
    )
    service_url: str = Field(
        default="", description="Where the service tier is; derived from SERVICE_BIND when unset."
    )
    repository_url: str = Field(
        default="",
        description="Where the repository tier is; derived from REPOSITORY_BIND when unset.",
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

    @field_validator("controller_bind", "service_bind", "repository_bind")
    @classmethod
    def _has_a_port(cls, bind: str) -> str:
        # The tiers are told of each other before any of them listens.
        if Address.parse(bind).port == 0:
            raise ValueError(f"{bind!r} must name its port")
        return bind

    def bind(self, tier: Literal["controller", "service", "repository"]) -> Address:
        """Give the address that a tier listens on."""
        return Address.parse(getattr(self, f"{tier}_bind"))

    def service_target(self) -> str:
        """Give the URL of the service tier."""
        return self.service_url or self.bind("service").url("grpc")

    def repository_target(self) -> str:
        """Give the URL of the repository tier."""
        return self.repository_url or self.bind("repository").url("grpc")
