"""What the worker can be told."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr

from repository_tier.jobs.broker import BrokerAddress
from tier_runtime.addresses import OptionalBind
from tier_runtime.channel import TierUrl
from tier_runtime.settings import Rule
from tier_runtime.tls.settings import TLS_FIELDS, TlsSettings


class WorkerSettings(TlsSettings):
    """Settings of the worker. Times are in seconds."""

    service_url: TierUrl = Field(
        default="grpc://127.0.0.1:50051",
        description="Where the service tier's jobs are: grpc://host:port[,host:port...], "
        "dns:///name:port or http://host:port[,host:port...].",
    )
    arcana_home: Path = Field(
        default=Path(".arcana"),
        description="The folder of everything the embedded default keeps: the broker too.",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="`redis://host:port/number` of the broker; a folder under ARCANA_HOME when "
        "unset.",
    )
    worker_concurrency: int = Field(
        default=4, ge=1, le=256, description="Jobs that are worked on at the same time."
    )
    worker_time_limit_seconds: float = Field(
        default=300.0, gt=0, le=300, description="How long one attempt at a job may take."
    )
    worker_beat: bool = Field(
        default=True,
        description="Whether it also asks for what is scheduled; of several that do, one wins.",
    )
    health_bind: OptionalBind = Field(
        default="",
        description="Where the worker tells its health, as host:port: grpc.health.v1 in "
        "plaintext. When not set, or `off`, nothing listens.",
    )

    def _calls_in_plaintext(self) -> str | None:
        return self.called_in_plaintext([self.service_url])

    rules: ClassVar[tuple[Rule, ...]] = (Rule(("service_url", *TLS_FIELDS), _calls_in_plaintext),)

    def broker(self) -> BrokerAddress:
        """Return where the broker is."""
        url = "" if self.redis_url is None else self.redis_url.get_secret_value()
        return BrokerAddress.under(url, self.arcana_home)
