from __future__ import annotations

import pytest

from launcher.settings import LauncherSettings
from launcher.up import require_supported
from tier_runtime.settings import SettingsError, load
from tier_runtime.startup import StartupError


def test_the_urls_of_the_inner_tiers_follow_from_their_binds() -> None:
    settings = load(
        LauncherSettings, {"SERVICE_BIND": "0.0.0.0:7001", "REPOSITORY_BIND": "127.0.0.1:7002"}
    )

    assert settings.service_target() == "grpc://127.0.0.1:7001"
    assert settings.repository_target() == "grpc://127.0.0.1:7002"


def test_a_url_that_is_given_goes_before_the_bind() -> None:
    settings = load(LauncherSettings, {"SERVICE_URL": "dns:///service:50051"})

    assert settings.service_target() == "dns:///service:50051"


def test_every_bad_address_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load(LauncherSettings, {"CONTROLLER_BIND": "nowhere", "SERVICE_BIND": "x:0"})

    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "CONTROLLER_BIND",
        "SERVICE_BIND",
    ]


def test_the_admin_password_is_not_shown() -> None:
    settings = load(LauncherSettings, {"ARCANA_ADMIN_PASSWORD": "Sup3r-secret"})

    assert "Sup3r-secret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "supported"),
    [
        ("DEPLOYMENT_MODE", "monolithic", "layered"),
        ("COMMUNICATION_PROTOCOL", "http", "grpc"),
    ],
)
def test_what_is_not_supported_yet_is_refused_with_what_is(
    name: str, value: str, supported: str
) -> None:
    with pytest.raises(StartupError, match=f"{value}.*supported: {supported}"):
        require_supported(load(LauncherSettings, {name: value}))


def test_the_defaults_are_supported() -> None:
    require_supported(load(LauncherSettings, {}))
