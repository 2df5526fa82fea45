"""What every process can be told about traces, in OpenTelemetry's own names.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator

from tier_runtime.settings import TierSettings

# What a header's name may be (RFC 9110, section 5.6.2), in lower case as gRPC wants it.
_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
# What gRPC sends of a value. Of another it says so for each batch, and quotes it.
_VALUE = re.compile(r"[ -~]*")


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """Where spans go. Without an endpoint there are none."""

    endpoint: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    ratio: float = 1.0
    service_name: str = "arcana"


class TracedSettings(TierSettings):
    """What every process can be told about traces."""

    otel_exporter_otlp_endpoint: str = Field(
        default="",
        description="Where spans are sent, by OTLP over gRPC: `http://collector:4317`, or `https:` "
        "for TLS by the machine's own authorities. There is no tracing when unset.",
    )
    otel_exporter_otlp_headers: SecretStr | None = Field(
        default=None,
        description="What is sent along with the spans, such as a key, as `name=value,...` with "
        "percent encoding.",
    )
    otel_traces_sampler_arg: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="The share of requests that are traced, 0 to 1. A request that comes with a "
        "`traceparent` is traced when that says so.",
    )
    otel_service_name: str = Field(
        default="",
        max_length=100,
        description="The name that this process has in traces; `arcana-` and its tier when unset.",
    )

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _is_an_endpoint(cls, url: str) -> str:
        if url and not _is_endpoint(url):
            raise ValueError("must be http://host:port or https://host:port")
        return url

    @field_validator("otel_exporter_otlp_headers")
    @classmethod
    def _are_headers(cls, text: SecretStr | None) -> SecretStr | None:
        if text is not None:
            read_headers(text.get_secret_value())
        return text

    def tracing(self, tier: str) -> TracingSettings:
        """Return where the spans of a process of this tier go."""
        secret = self.otel_exporter_otlp_headers
        return TracingSettings(
            endpoint=self.otel_exporter_otlp_endpoint,
            headers=() if secret is None else read_headers(secret.get_secret_value()),
            ratio=self.otel_traces_sampler_arg,
            service_name=self.otel_service_name or f"arcana-{tier}",
        )


def read_headers(text: str) -> tuple[tuple[str, str], ...]:
    """Read `name=value,name=value`.

    Raises:
        ValueError: a part is not of that form.
    """
    headers = []
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, value = part.partition("=")
        name, value = name.strip().lower(), unquote(value.strip())
        if not equals or not _HEADER.fullmatch(name) or not _VALUE.fullmatch(value):
            # Not the part itself: it may hold the secret.
            raise ValueError("must be name=value,name=value")
        headers.append((name, value))
    return tuple(headers)


def _is_endpoint(url: str) -> bool:
    parts = urlsplit(url)
    try:
        is_complete = bool(parts.hostname) and parts.port is not None
    except ValueError:
        return False
    has_more = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    return parts.scheme in {"http", "https"} and is_complete and not has_more
