from __future__ import annotations

import pytest

from launcher.settings import SERVICES, LauncherSettings, read_urls, split_url
from tier_runtime.settings import SettingsError, load


def test_the_urls_of_the_inner_tiers_follow_from_their_binds() -> None:
    settings = load(
        LauncherSettings, {"SERVICE_BIND": "0.0.0.0:7001", "REPOSITORY_BIND": "127.0.0.1:7002"}
    )

    assert settings.service_target() == "grpc://127.0.0.1:7001"
    assert settings.repository_target() == "grpc://127.0.0.1:7002"


def test_the_urls_speak_the_protocol_that_is_set() -> None:
    settings = load(LauncherSettings, {"COMMUNICATION_PROTOCOL": "http"})

    assert settings.service_target() == "http://127.0.0.1:50051"
    assert settings.repository_target() == "http://127.0.0.1:50052"


def test_a_url_that_is_given_goes_before_the_bind() -> None:
    settings = load(
        LauncherSettings, {"SERVICE_URL": "dns:///service:50051", "ALLOW_PLAINTEXT": "true"}
    )

    assert settings.service_target() == "dns:///service:50051"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVICE_URL", "inproc:service"),
        ("REPOSITORY_URL", "inproc:repository"),
        ("SERVICE_URLS", "auth=inproc:service"),
        ("SERVICE_URL", "service:50051"),
        ("REPOSITORY_URL", "grpc://repository"),
    ],
)
def test_a_url_that_leads_to_no_other_process_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(LauncherSettings, {name: value})
    [fault] = caught.value.faults
    assert fault.startswith(f"{name}: Cannot open a channel to ")


def test_in_microservices_each_service_has_a_port_of_its_own() -> None:
    settings = load(LauncherSettings, {"DEPLOYMENT_MODE": "microservices"})

    assert [settings.service_target(name) for name in SERVICES] == [
        "grpc://127.0.0.1:50051",
        "grpc://127.0.0.1:50061",
        "grpc://127.0.0.1:50071",
        "grpc://127.0.0.1:50081",
        "grpc://127.0.0.1:50091",
        "grpc://127.0.0.1:50101",
        "grpc://127.0.0.1:50111",
        "grpc://127.0.0.1:50121",
    ]


def test_a_service_whose_url_is_given_is_called_there() -> None:
    given = {
        "DEPLOYMENT_MODE": "microservices",
        "SERVICE_URLS": "users=grpc://far:1",
        "ALLOW_PLAINTEXT": "true",
    }
    settings = load(LauncherSettings, given)

    assert settings.service_target("users") == "grpc://far:1"
    assert settings.service_target("auth") == "grpc://127.0.0.1:50051"


def test_the_monolith_is_reached_over_grpc_whatever_the_tiers_would_speak() -> None:
    given = {"DEPLOYMENT_MODE": "monolithic", "COMMUNICATION_PROTOCOL": "http"}

    assert load(LauncherSettings, given).service_target() == "grpc://127.0.0.1:50051"


def test_workers_over_grpc_have_an_address_each_and_over_http_one_together() -> None:
    grpc = load(LauncherSettings, {"WORKERS": "3"})
    http = load(LauncherSettings, {"WORKERS": "3", "COMMUNICATION_PROTOCOL": "http"})

    urls = "grpc://127.0.0.1:50051,127.0.0.1:50151,127.0.0.1:50251"
    assert grpc.service_target(workers=3) == urls
    assert http.service_target(workers=3) == "http://127.0.0.1:50051"


@pytest.mark.parametrize(
    ("url", "workers"), [("", 1), ("sqlite:////a.db", 1), ("mysql+pymysql://u:p@h/d", 4)]
)
def test_the_embedded_database_has_one_process(url: str, workers: int) -> None:
    settings = load(LauncherSettings, {"WORKERS": "4", "DATABASE_URL": url})

    assert settings.repository_workers == workers


@pytest.mark.parametrize(
    ("url", "each"),
    [
        ("grpc://127.0.0.1:1", ["grpc://127.0.0.1:1"]),
        ("grpc://[::1]:1,[::1]:2", ["grpc://[::1]:1", "grpc://[::1]:2"]),
        ("http://a:1,b:2", ["http://a:1", "http://b:2"]),
        ("dns:///service:1", ["dns:///service:1"]),
    ],
)
def test_each_address_of_a_url_can_be_asked_by_itself(url: str, each: list[str]) -> None:
    assert split_url(url) == each


def test_urls_of_services_may_hold_several_addresses() -> None:
    assert read_urls("auth=grpc://a:1,b:2, users=http://c:3") == {
        "auth": "grpc://a:1,b:2",
        "users": "http://c:3",
    }


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("grpc://a:1", "SERVICE_URLS: 'grpc://a:1' is not of the form name=URL."),
        ("mail=grpc://a:1", "SERVICE_URLS: 'mail' is none of the services auth, users, "),
    ],
)
def test_urls_of_services_that_cannot_be_read_are_told(text: str, fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(LauncherSettings, {"SERVICE_URLS": text})

    assert caught.value.faults[0].startswith(fault)


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
    ("name", "known"),
    [
        ("DEPLOYMENT_MODE", "'monolithic', 'layered' or 'microservices'"),
        ("COMMUNICATION_PROTOCOL", "'grpc' or 'http'"),
    ],
)
def test_an_unknown_mode_or_protocol_is_refused_with_the_known_ones(name: str, known: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: Input should be {known}"):
        load(LauncherSettings, {name: "other"})
