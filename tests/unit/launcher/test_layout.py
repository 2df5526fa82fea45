from __future__ import annotations

import pytest

from launcher.layout import Part, description_of, metrics_of, parts_of
from launcher.settings import SERVICES, LauncherSettings
from tier_runtime.settings import load
from tier_runtime.startup import StartupError

SERVICE, REPOSITORY = "grpc://127.0.0.1:50051", "grpc://127.0.0.1:50052"
MYSQL = "mysql+pymysql://u:p@h/d"


def _parts(**environ: str) -> dict[str, Part]:
    return {part.name: part for part in parts_of(load(LauncherSettings, environ))}


def test_layered_is_a_process_for_each_tier_from_the_store_outwards() -> None:
    parts = _parts()

    assert list(parts) == ["repository", "service", "controller", "worker"]
    assert parts["service"].settings == {
        "REPOSITORY_URL": "grpc://127.0.0.1:50052",
        "SERVICE_BIND": "127.0.0.1:50051",
        "SERVICES": "auth,users,rate_limits,products,orders,jobs,events,files",
        "WORKERS": "1",
    }
    assert parts["controller"].settings == {"SERVICE_URL": "grpc://127.0.0.1:50051"}
    assert parts["worker"].settings == {"SERVICE_URL": "grpc://127.0.0.1:50051"}


def test_microservices_are_a_process_for_each_service_and_an_address_for_each() -> None:
    parts = _parts(DEPLOYMENT_MODE="microservices", COMMUNICATION_PROTOCOL="http")

    assert list(parts) == ["repository", *SERVICES, "controller", "worker"]
    assert [parts[name].services for name in SERVICES] == [(name,) for name in SERVICES]
    assert [parts[name].settings["SERVICES"] for name in SERVICES] == list(SERVICES)
    assert parts["controller"].settings == {
        "SERVICE_URLS": "auth=http://127.0.0.1:50051,users=http://127.0.0.1:50061,"
        "rate_limits=http://127.0.0.1:50071,products=http://127.0.0.1:50081,"
        "orders=http://127.0.0.1:50091,jobs=http://127.0.0.1:50101,"
        "events=http://127.0.0.1:50111,files=http://127.0.0.1:50121"
    }
    assert parts["worker"].settings == {"SERVICE_URL": "http://127.0.0.1:50101"}
    assert parts["users"].urls == ("http://127.0.0.1:50061",)


def test_the_monolith_is_one_process_with_all_tiers() -> None:
    monolith, worker = _parts(DEPLOYMENT_MODE="monolithic").values()

    assert monolith.command == "controller"
    assert set(monolith.programs) == {"controller", "service", "repository"}
    # It takes jobs from the broker by itself, and hands them in by the port of the admin commands.
    assert worker.settings == {"SERVICE_URL": "grpc://127.0.0.1:50051"}
    assert [name for name, _ in monolith.listens] == [
        "CONTROLLER_BIND",
        "PUBLIC_GRPC_BIND",
        "SERVICE_BIND",
    ]


def test_each_process_has_a_port_for_its_metrics_in_the_order_of_their_start() -> None:
    parts = _parts(METRICS_BIND="127.0.0.1:9464")

    assert [part.settings["METRICS_BIND"] for part in parts.values()] == [
        "127.0.0.1:9464",
        "127.0.0.1:9465",
        "127.0.0.1:9466",
        "127.0.0.1:9467",
    ]
    (line,) = metrics_of(list(parts.values()))
    assert line == (
        "Metrics: repository http://127.0.0.1:9464/metrics, "
        "service http://127.0.0.1:9465/metrics, controller http://127.0.0.1:9466/metrics, "
        "worker http://127.0.0.1:9467/metrics."
    )
    assert metrics_of(list(_parts().values())) == []


def test_a_free_port_for_metrics_stays_one_for_each_process() -> None:
    parts = _parts(METRICS_BIND="127.0.0.1:0")

    assert not any("METRICS_BIND" in part.settings for part in parts.values())
    assert metrics_of(list(parts.values())) == []


def test_a_port_for_metrics_that_something_else_needs_is_refused() -> None:
    with pytest.raises(StartupError, match="METRICS_BIND and REPOSITORY_BIND: port 50052"):
        _parts(METRICS_BIND="127.0.0.1:50052")


def test_a_public_grpc_api_that_is_switched_off_needs_no_address() -> None:
    controller = _parts(PUBLIC_GRPC_ENABLED="false")["controller"]

    assert [name for name, _ in controller.listens] == ["CONTROLLER_BIND"]


def test_workers_are_given_to_the_inner_tiers_and_each_address_is_called() -> None:
    parts = _parts(WORKERS="2", DATABASE_URL=MYSQL)

    assert parts["repository"].settings["WORKERS"] == parts["service"].settings["WORKERS"] == "2"
    assert parts["service"].settings["REPOSITORY_URL"] == "grpc://127.0.0.1:50052,127.0.0.1:50152"
    assert parts["controller"].settings == {"SERVICE_URL": "grpc://127.0.0.1:50051,127.0.0.1:50151"}
    assert [str(address) for _, address in parts["service"].listens] == [
        "127.0.0.1:50051",
        "127.0.0.1:50151",
    ]


def test_the_embedded_database_keeps_one_repository_process_and_that_is_told() -> None:
    embedded = load(LauncherSettings, {"WORKERS": "2"})
    real = load(LauncherSettings, {"WORKERS": "2", "DATABASE_URL": MYSQL})

    assert _parts(WORKERS="2")["repository"].settings["WORKERS"] == "1"
    assert "a file that one process owns" in description_of(embedded)[-1]
    assert not any("one process owns" in line for line in description_of(real))


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (
            "layered",
            [
                "Layered, with gRPC over mutual TLS between the tiers.",
                f"Behind the edge, by mutual TLS: service {SERVICE}, repository {REPOSITORY}.",
            ],
        ),
        (
            "monolithic",
            [
                "Monolithic: one process with all tiers, which call each other in place.",
                f"Admin commands reach it at {SERVICE}, by mutual TLS.",
            ],
        ),
    ],
)
def test_the_operator_is_told_of_mutual_tls_and_where_it_is_spoken(
    mode: str, told: list[str]
) -> None:
    settings = load(LauncherSettings, {"ARCANA_TLS": "true", "DEPLOYMENT_MODE": mode})
    assert description_of(settings) == told


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, "Layered, with gRPC"),
        ({"COMMUNICATION_PROTOCOL": "http"}, "Layered, with REST"),
        ({"DEPLOYMENT_MODE": "microservices"}, "Microservices, with gRPC"),
        ({"DEPLOYMENT_MODE": "monolithic"}, "Monolithic: one process"),
    ],
)
def test_the_operator_is_told_the_mode_and_the_protocol(environ: dict[str, str], told: str) -> None:
    assert description_of(load(LauncherSettings, environ))[0].startswith(told)


@pytest.mark.parametrize(
    ("environ", "variables"),
    [
        ({"SERVICE_BIND": "127.0.0.1:50052"}, "REPOSITORY_BIND and SERVICE_BIND"),
        ({"CONTROLLER_BIND": "0.0.0.0:50050"}, "CONTROLLER_BIND and PUBLIC_GRPC_BIND"),
        (
            {"DEPLOYMENT_MODE": "microservices", "REPOSITORY_BIND": "127.0.0.1:50061"},
            "REPOSITORY_BIND and SERVICE_BIND",
        ),
        ({"WORKERS": "2", "REPOSITORY_BIND": "127.0.0.1:50151"}, "REPOSITORY_BIND and SERVICE_"),
    ],
)
def test_two_processes_at_one_port_are_refused(environ: dict[str, str], variables: str) -> None:
    with pytest.raises(StartupError, match=f"{variables}.*: port .* is needed more than once"):
        _parts(**environ)


@pytest.mark.parametrize(
    ("name", "environ"),
    [
        ("SERVICE_URL", {"COMMUNICATION_PROTOCOL": "http", "SERVICE_URL": "grpc://127.0.0.1:1"}),
        ("REPOSITORY_URL", {"REPOSITORY_URL": "http://127.0.0.1:1"}),
        ("SERVICE_URLS, auth", {"SERVICE_URLS": "auth=http://127.0.0.1:1"}),
    ],
)
def test_a_url_of_the_other_protocol_is_refused(name: str, environ: dict[str, str]) -> None:
    with pytest.raises(StartupError, match=f"{name}: .* does not speak"):
        _parts(**environ)


def test_one_url_for_all_services_is_refused_in_microservices() -> None:
    with pytest.raises(StartupError, match=r"SERVICE_URL: .*name each service in SERVICE_URLS"):
        _parts(DEPLOYMENT_MODE="microservices", SERVICE_URL="grpc://127.0.0.1:1")


def test_without_a_worker_nothing_listens_to_the_broker() -> None:
    assert "worker" not in _parts(ARCANA_WORKER="false")
