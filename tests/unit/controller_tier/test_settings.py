from __future__ import annotations

from pathlib import Path

import pytest

from controller_tier.main import read_download_secret
from controller_tier.settings import ControllerSettings
from tier_runtime.settings import SettingsError, describe, load


def test_the_defaults_are_those_of_the_design() -> None:
    settings = load(ControllerSettings, {})
    assert settings.controller_bind == "127.0.0.1:5000"
    assert settings.service_url == "grpc://127.0.0.1:50051"
    assert (settings.web_workers, settings.web_threads) == (2, 16)
    assert settings.max_body_bytes == 1024 * 1024
    assert settings.request_timeout_seconds == 5
    assert settings.jwt_algorithm == "EdDSA"
    assert settings.cors_origins == []
    assert not settings.require_if_match


def test_transfers_take_half_of_the_threads_unless_told() -> None:
    assert load(ControllerSettings, {}).transfers == 8
    assert load(ControllerSettings, {"WEB_THREADS": "1"}).transfers == 1
    assert load(ControllerSettings, {"WEB_MAX_TRANSFERS": "3"}).transfers == 3


def test_streams_of_events_take_a_quarter_of_the_threads_unless_told() -> None:
    assert load(ControllerSettings, {}).feeds == 4
    assert load(ControllerSettings, {"WEB_THREADS": "1"}).feeds == 1
    assert load(ControllerSettings, {"EVENT_STREAMS": "3"}).feeds == 3


def test_the_secret_of_links_is_the_one_told_or_one_that_is_kept(tmp_path: Path) -> None:
    told = load(ControllerSettings, {"DOWNLOAD_SECRET": "d" * 32})
    assert read_download_secret(told) == b"d" * 32
    made = load(ControllerSettings, {"ARCANA_HOME": str(tmp_path / "home")})
    secret = read_download_secret(made)
    assert len(secret) >= 32
    assert read_download_secret(made) == secret
    assert (tmp_path / "home" / "keys" / "download_secret").read_bytes() == secret


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DOWNLOAD_SECRET", "short"),
        ("TRANSFER_TIMEOUT_SECONDS", "301"),
        ("CONTROLLER_BIND", "5000"),
        ("CONTROLLER_BIND", "127.0.0.1:70000"),
        ("CONTROLLER_BIND", "::1:5000"),
        ("SERVICE_URL", "127.0.0.1:50051"),
        ("SERVICE_URL", "grpc://127.0.0.1"),
        ("SERVICE_URL", "inproc:service"),
        ("SERVICE_URLS", "grpc://127.0.0.1:1"),
        ("SERVICE_URLS", "people=grpc://127.0.0.1:1"),
        ("SERVICE_URLS", "auth=127.0.0.1:1"),
        ("SERVICE_URLS", "auth=inproc:service"),
        ("SERVICE_URLS", "auth=grpc://127.0.0.1:1,users=pigeon://x"),
        ("CIRCUIT_BREAKER_FAILURES", "0"),
        ("CIRCUIT_BREAKER_SECONDS", "0"),
        ("COALESCE_MAX_BATCH", "0"),
        ("PUBLIC_GRPC_BIND", "50050"),
        ("PUBLIC_GRPC_MAX_STREAMS", "16"),
        ("PUBLIC_GRPC_STREAM_SECONDS", "301"),
        ("EVENT_STREAMS", "16"),
        ("EVENT_STREAM_SECONDS", "301"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://a.example.org/path"),
        ("CORS_ORIGINS", "https://a.example.org,null"),
        ("RATE_LIMIT_LOGIN_IP", "0/60"),
        ("RATE_LIMIT_LOGIN_IP", "10"),
        ("RATE_LIMIT_LOGIN_EMAIL", "10/86401"),
        ("WEB_WORKERS", "0"),
        ("MAX_BODY_BYTES", "big"),
        ("JWT_ALGORITHM", "none"),
        ("REQUEST_TIMEOUT_SECONDS", "0"),
    ],
)
def test_a_bad_value_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(ControllerSettings, {name: value})
    [fault] = raised.value.faults
    assert fault.startswith(f"{name}:")


def test_services_may_have_addresses_of_their_own_and_those_may_be_several() -> None:
    text = "users=grpc://127.0.0.1:1,127.0.0.1:2, auth = grpc://c:3"
    settings = load(ControllerSettings, {"SERVICE_URLS": text, "ALLOW_PLAINTEXT": "true"})
    assert settings.neighbour_of("users") == ("users", "grpc://127.0.0.1:1,127.0.0.1:2")
    assert settings.neighbour_of("auth") == ("auth", "grpc://c:3")
    assert settings.neighbour_of("rate_limits") == ("service", "grpc://127.0.0.1:50051")


@pytest.mark.parametrize("secret", ["", "x" * 31])
def test_hs256_needs_a_long_secret(secret: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(ControllerSettings, {"JWT_ALGORITHM": "HS256", "JWT_SECRET": secret})
    assert raised.value.faults == ("JWT_SECRET: HS256 needs a secret of at least 32 bytes.",)


def test_every_rule_that_is_broken_is_named_beside_every_bad_value() -> None:
    environ = {
        "JWT_ALGORITHM": "HS256",
        "PUBLIC_GRPC_MAX_STREAMS": "100",
        "PUBLIC_GRPC_THREADS": "4",
        "WEB_WORKERS": "x",
    }
    with pytest.raises(SettingsError) as raised:
        load(ControllerSettings, environ)
    secret, streams, workers = raised.value.faults
    assert secret == "JWT_SECRET: HS256 needs a secret of at least 32 bytes."
    assert streams.startswith("PUBLIC_GRPC_MAX_STREAMS: must be fewer than PUBLIC_GRPC_THREADS")
    assert workers.startswith("WEB_WORKERS: ")


def test_a_long_secret_is_taken_and_masked() -> None:
    settings = load(ControllerSettings, {"JWT_ALGORITHM": "HS256", "JWT_SECRET": "x" * 32})
    assert settings.jwt_secret is not None
    assert "x" * 32 not in repr(settings)


def test_origins_come_as_a_list() -> None:
    text = "https://a.example.org, http://localhost:3000"
    settings = load(ControllerSettings, {"CORS_ORIGINS": text})
    assert settings.cors_origins == ["https://a.example.org", "http://localhost:3000"]


def test_every_setting_is_described() -> None:
    assert all(doc.description for doc in describe(ControllerSettings))
