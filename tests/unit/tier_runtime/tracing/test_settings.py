from __future__ import annotations

import pytest

from tier_runtime.settings import SettingsError, load
from tier_runtime.tracing.opening import open_tracing
from tier_runtime.tracing.settings import TracedSettings, TracingSettings, read_headers
from tier_runtime.tracing.spans import NoTracing

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}


def test_without_an_endpoint_there_is_no_tracing() -> None:
    settings = load(TracedSettings, {}).tracing("service")
    assert settings == TracingSettings("", (), 1.0, "arcana-service")
    assert isinstance(open_tracing(settings), NoTracing)


def test_the_standard_names_are_read() -> None:
    environ = {
        **ENDPOINT,
        "OTEL_EXPORTER_OTLP_HEADERS": "X-Key=a%2Cb, other = 1 ,",
        "OTEL_TRACES_SAMPLER_ARG": "0.25",
        "OTEL_SERVICE_NAME": "shop",
    }
    assert load(TracedSettings, environ).tracing("service") == TracingSettings(
        "http://collector:4317", (("x-key", "a,b"), ("other", "1")), 0.25, "shop"
    )


@pytest.mark.parametrize(
    "url",
    [
        "collector:4317",
        "ftp://collector:4317",
        "http://collector",
        "http://collector:port",
        "http://collector:4317/v1/traces",
        "http://user@collector:4317",
        "http://:4317",
    ],
)
def test_an_endpoint_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_ENDPOINT: must be http"):
        load(TracedSettings, {"OTEL_EXPORTER_OTLP_ENDPOINT": url})


@pytest.mark.parametrize("url", ["http://collector:4317/", "https://[::1]:443"])
def test_an_endpoint_is_an_address(url: str) -> None:
    settings = load(TracedSettings, {"OTEL_EXPORTER_OTLP_ENDPOINT": url})
    assert settings.tracing("x").endpoint == url


@pytest.mark.parametrize("share", ["-0.1", "1.1", "half"])
def test_a_share_that_is_none_is_refused(share: str) -> None:
    with pytest.raises(SettingsError, match="OTEL_TRACES_SAMPLER_ARG"):
        load(TracedSettings, {"OTEL_TRACES_SAMPLER_ARG": share})


def test_headers_of_another_form_are_refused_and_not_told() -> None:
    with pytest.raises(SettingsError) as raised:
        load(TracedSettings, {"OTEL_EXPORTER_OTLP_HEADERS": "s3cret"})
    assert "OTEL_EXPORTER_OTLP_HEADERS: must be name=value" in str(raised.value)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("text", ["bad name=1", "key=line%0Abreak", "key=%C3%A9", "key=\u00e9"])
def test_headers_that_grpc_would_not_send_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        read_headers(text)
