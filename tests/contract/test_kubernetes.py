"""The Kubernetes manifests say of the programs what their code says."""

from __future__ import annotations

import json
import math
import re
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.main import get_group

from controller_tier.settings import ControllerSettings
from k8s.checks import faults_of
from k8s.given_secrets import CERTIFICATE_NAMES, given_in
from k8s.network import (
    COMPONENT,
    hops,
    open_to_namespaces,
    reached_namespaces,
    reached_outside,
)
from k8s.resources import at
from k8s.schemas import versions
from k8s.wellformed import quantity
from launcher.cli import app as commands
from launcher.settings import SERVICES, read_urls
from launcher.tiers import _NEEDED_BY
from repository_tier.settings import RepositorySettings
from repository_tier.worker.settings import WorkerSettings
from service_tier.settings import ServiceSettings
from tests.contract.manifest_environment import NAMES_OF_OTHERS, files_read, settings_of
from tests.contract.manifests import (
    OVERLAYS,
    Program,
    of_component,
    program,
    programs,
    rendered,
)
from tier_runtime.addresses import Address
from tier_runtime.server import _CANCELLED_SECONDS
from tier_runtime.settings import describe

ROOT = Path(__file__).resolve().parents[2]
SERVED = ("controller", "service", "repository", "worker")
ONE_SHOTS = ("migrate", "create-admin")
# Told here, since whatever collects the tests must not have to render anything.
WORKLOADS = {
    "dev": (*SERVED, *ONE_SHOTS),
    "production": (*SERVED, *ONE_SHOTS),
    "microservices": (
        "controller",
        *(f"service-{each.replace('_', '-')}" for each in SERVICES),
        "repository",
        "worker",
        *ONE_SHOTS,
    ),
}
PROGRAMS = [
    pytest.param(name, workload, id=f"{name}-{workload}")
    for name, workloads in WORKLOADS.items()
    for workload in workloads
]
# Beyond what a process may take to end, before kubelet kills it.
LONGEST_MARGIN_SECONDS = 12


@pytest.mark.parametrize("name", OVERLAYS)
def test_nothing_is_wrong_with_an_overlay(name: str) -> None:
    assert faults_of(rendered(name), name) == []


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_runs_these_programs(name: str) -> None:
    assert sorted(each.workload.name for each in programs(name)) == sorted(WORKLOADS[name])


def test_four_versions_of_kubernetes_are_checked_and_the_newest_is_among_them() -> None:
    assert len(versions()) == 4
    assert versions()[-1] == "1.37"
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    assert f"Kubernetes {versions()[0]} or newer" in page


@pytest.mark.parametrize(("name", "workload"), PROGRAMS)
def test_every_variable_is_a_setting_of_the_program_that_is_given_it(
    name: str, workload: str
) -> None:
    found = program(name, workload)
    docs = describe(found.reads)
    known = {doc.env_name for doc in docs}
    known |= {f"{doc.env_name}_FILE" for doc in docs if doc.secret}
    assert set(found.environ) - known <= NAMES_OF_OTHERS


@pytest.mark.parametrize(("name", "workload"), PROGRAMS)
def test_every_program_takes_its_settings(name: str, workload: str, tmp_path: Path) -> None:
    found = program(name, workload)
    settings_of(found, tmp_path)


@pytest.mark.parametrize(("name", "workload"), PROGRAMS)
def test_every_secret_comes_from_a_file_of_a_secret_that_is_its_readers(
    name: str, workload: str
) -> None:
    found = program(name, workload)
    secrets = {doc.env_name for doc in describe(found.reads) if doc.secret}
    assert not secrets & set(found.environ)
    read = {variable: found.secret_at(path) for variable, path in files_read(found.environ).items()}
    assert None not in read.values()
    certificate = certificate_of(found)
    if "TLS_CERT_FILE" in read:
        assert [read[f"TLS_{part}_FILE"] for part in ("CERT", "KEY", "CA")] == [
            (f"{certificate}-tls", key) for key in ("tls.crt", "tls.key", "ca.crt")
        ]


def test_nothing_secret_is_in_the_manifests() -> None:
    for name in OVERLAYS:
        assert rendered(name).of("Secret") == []
    for path in (ROOT / "k8s").rglob("*.yaml"):
        assert not re.search(r"PRIVATE KEY|://[^/\s:@]+:[^/\s@]+@", path.read_text()), path


@pytest.mark.parametrize(("name", "workload"), PROGRAMS)
def test_ports_are_those_that_the_program_listens_at(name: str, workload: str) -> None:
    found = program(name, workload)
    binds = {
        variable.removesuffix("_BIND"): Address.parse(value)
        for variable, value in found.environ.items()
        if variable.endswith("_BIND")
    }
    # Anything else than all addresses of the pod could be reached by nobody.
    assert {bind.host for bind in binds.values()} <= {"0.0.0.0"}
    shown = {port["name"]: port["containerPort"] for port in found.container.get("ports", ())}
    called = {"CONTROLLER": "http", "PUBLIC_GRPC": "grpc-public", "SERVICE": "grpc"}
    called |= {"REPOSITORY": "grpc", "HEALTH": "health", "METRICS": "metrics"}
    assert shown == {called[bind]: address.port for bind, address in binds.items()}


@pytest.mark.parametrize(("name", "workload"), PROGRAMS)
def test_every_url_leads_to_pods_that_listen_there(name: str, workload: str) -> None:
    found = program(name, workload)
    rendering = rendered(name)
    urls = [found.environ.get("SERVICE_URL", ""), found.environ.get("REPOSITORY_URL", "")]
    urls += read_urls(found.environ.get("SERVICE_URLS", "")).values()
    for url in filter(None, urls):
        host, _, port = url.removeprefix("dns:///").partition(":")
        service = rendering.find("Service", host)
        assert url.startswith("dns:///")
        assert service is not None, host
        # Only then does the name lead to each pod by itself.
        assert service.spec["clusterIP"] == "None"
        assert int(port) in {each["port"] for each in service.spec["ports"]}


def test_the_edge_is_asked_at_paths_that_it_serves() -> None:
    container = program("production", "controller").container
    asked = {
        container[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    assert asked == {"/health/live", "/health/ready"}
    assert asked <= document["paths"].keys()


@pytest.mark.parametrize("workload", ["service", "repository", "worker"])
def test_inner_processes_are_asked_where_health_is_told_without_tls(workload: str) -> None:
    found = program("production", workload)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert found.container[probe]["grpc"] == {
            "port": Address.parse(found.environ["HEALTH_BIND"]).port
        }


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize("workload", SERVED)
def test_a_pod_is_given_the_time_that_its_program_takes_to_end(
    name: str, workload: str, tmp_path: Path
) -> None:
    for found in of_component(name, workload):
        paused = at(found.container, "lifecycle", "preStop", "sleep", "seconds") or 0
        needed = paused + seconds_to_end(found, tmp_path)
        grace = found.pod.spec["terminationGracePeriodSeconds"]
        assert needed <= grace
        if workload != "worker":
            # The edge's port closes with the signal, and names lead to inner tiers for a while.
            assert paused >= 5
            assert grace <= needed + LONGEST_MARGIN_SECONDS


@pytest.mark.parametrize(("name", "workload"), PROGRAMS)
def test_what_a_container_runs_is_there_and_in_its_image(name: str, workload: str) -> None:
    found = program(name, workload)
    image = found.image.rpartition("/")[2].partition(":")[0]
    if found.command[0] == "arcana":
        assert found.command[1] in get_group(commands).commands
        assert image == "arcana-operator"
        return
    module = found.command[2]
    assert find_spec(module) is not None
    assert callable(import_module(module).main)
    assert image == f"arcana-{module.partition('_tier')[0]}"


def test_all_images_are_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    tags = {found.image.rpartition(":")[2] for name in OVERLAYS for found in programs(name)}
    assert tags == {version}


@pytest.mark.parametrize("name", OVERLAYS)
def test_exactly_these_hops_are_allowed_inside(name: str) -> None:
    tiers = {
        ("controller", "service", 50051),
        ("worker", "service", 50051),
        ("create-admin", "service", 50051),
        ("service", "repository", 50052),
    }
    stores = {
        ("repository", "mysql", 3306),
        ("migrate", "mysql", 3306),
        ("repository", "redis", 6379),
        ("worker", "redis", 6379),
    }
    assert hops(rendered(name)) == tiers | (stores if name == "dev" else set())


@pytest.mark.parametrize("name", OVERLAYS)
def test_from_other_namespaces_only_the_edge_and_the_metrics_can_be_reached(name: str) -> None:
    assert open_to_namespaces(rendered(name)) == {
        ("ingress", "controller", 5000),
        ("ingress", "controller", 50050),
        *(("monitoring", component, 9464) for component in SERVED),
    }


@pytest.mark.parametrize("name", OVERLAYS)
def test_of_other_namespaces_the_names_are_reached_and_where_spans_go_and_nothing_else(
    name: str,
) -> None:
    reached = reached_namespaces(rendered(name))
    allowed = {("kube-system", 53)} | (set() if name == "dev" else {("tracing", 4317)})
    assert {(namespace, port) for _, namespace, port in reached} == allowed


def test_who_has_business_with_one_service_reaches_no_other() -> None:
    rendering = rendered("microservices")
    policies = {each.name: each.spec for each in rendering.of("NetworkPolicy")}
    selectors = {
        # Whom the policy lets them reach; of mails, whom it lets reach the server.
        "worker": policies["worker"]["egress"][0]["to"][0]["podSelector"],
        "create-admin": policies["create-admin"]["egress"][0]["to"][0]["podSelector"],
        "to-mail": policies["to-mail"]["podSelector"],
    }
    reached = {
        policy: [pod.labels["app.kubernetes.io/instance"] for pod in rendering.pods(selector)]
        for policy, selector in selectors.items()
    }
    assert reached == {"worker": ["jobs"], "create-admin": ["users"], "to-mail": ["jobs"]}


def test_outside_of_the_cluster_stores_and_mail_servers_can_be_reached_and_nothing_else() -> None:
    assert reached_outside(rendered("dev")) == set()
    for name in ("production", "microservices"):
        assert reached_outside(rendered(name)) == {
            ("repository", 3306),
            ("migrate", 3306),
            ("repository", 6379),
            ("worker", 6379),
            ("repository", 443),
            ("service", 465),
            ("service", 587),
        }


@pytest.mark.parametrize("name", OVERLAYS)
def test_hashes_of_passwords_fit_into_the_memory_of_a_pod(name: str, tmp_path: Path) -> None:
    for found in of_component(name, "service"):
        settings = settings_of(found, tmp_path)
        assert isinstance(settings, ServiceSettings)
        # 0 would be as many as the node has processors, whatever the pod may use of them.
        assert settings.hash_concurrency > 0
        n, r, p = map(int, settings.password_hash_method.removeprefix("scrypt:").split(":"))
        hashing = settings.hash_concurrency * 128 * n * r * p
        limit = quantity(found.container["resources"]["limits"]["memory"])
        assert hashing + 256 * 1024**2 <= limit


def test_each_service_of_the_service_tier_is_served_once_and_is_found() -> None:
    served = {each.environ["SERVICES"]: each for each in of_component("microservices", "service")}
    assert served.keys() == set(SERVICES)
    edge = program("microservices", "controller").environ
    assert "SERVICE_URL" not in edge
    urls = read_urls(edge["SERVICE_URLS"])
    for service, found in served.items():
        assert urls[service] == f"dns:///{found.workload.name}:50051"


def test_each_service_of_the_service_tier_has_the_secrets_that_it_needs_and_no_others() -> None:
    for found in of_component("microservices", "service"):
        service = found.environ["SERVICES"]
        for variables, services in _NEEDED_BY.items():
            given = set(variables) & set(found.environ)
            assert not given or service in services, (service, given)
        assert ("JWT_SIGNING_KEY_FILE" in found.environ) is (service == "auth")
        needs_token_secret = service in _NEEDED_BY["TOKEN_SECRET", "TOKEN_SECRET_FILE"]
        assert ("TOKEN_SECRET_FILE" in found.environ) is needs_token_secret
        assert ("SMTP_URL_FILE" in found.environ) is (service == "jobs")


@pytest.mark.parametrize("name", OVERLAYS)
def test_whoever_may_call_a_tier_has_a_certificate_with_the_name_that_the_tier_knows(
    name: str,
) -> None:
    callers = {
        "SERVICE_CALLERS": {"controller", "worker", "create-admin"},
        "REPOSITORY_CALLERS": {"service"},
    }
    certificates = {
        found.workload.labels.get(COMPONENT): certificate_of(found) for found in programs(name)
    }
    for found in programs(name):
        for variable, components in callers.items():
            if variable not in found.environ:
                continue
            # Nobody else: a name that calls nothing is a way in for whoever takes it over.
            allowed = set(found.environ[variable].split(","))
            assert {certificates[component] for component in components} == allowed


@pytest.mark.parametrize("name", ["production", "microservices"])
def test_every_certificate_has_the_names_that_its_holder_is_called_by(name: str) -> None:
    rendering = rendered(name)
    names = {
        each.name: each.spec["dnsNames"]
        for each in rendering.of("Certificate")
        if "dnsNames" in each.spec
    }
    assert names.keys() == set(CERTIFICATE_NAMES)
    assert all(dns_names[0] == holder for holder, dns_names in names.items())
    for service in rendering.of("Service"):
        component = service.spec["selector"][COMPONENT]
        if component != "controller":
            assert service.name in names[component]


def test_only_the_edge_is_published() -> None:
    for name in ("production", "microservices"):
        rendering = rendered(name)
        [ingress] = rendering.of("Ingress")
        backends = {
            path["backend"]["service"]["name"]
            for rule in ingress.spec["rules"]
            for path in rule["http"]["paths"]
        }
        assert backends == {"controller"}
        types = {each.spec.get("type", "ClusterIP") for each in rendering.of("Service")}
        assert types == {"ClusterIP"}
    assert rendered("dev").of("Ingress") == []


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_namespace_enforces_the_restricted_profile(name: str) -> None:
    [namespace] = rendered(name).of("Namespace")
    assert namespace.labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("name", OVERLAYS)
def test_each_secret_that_is_asked_for_is_explained(name: str) -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    for secret, keys in given_in(name).items():
        if not secret.endswith("-tls"):
            assert all(f"`{secret}/{key}`" in page for key in keys), secret


def certificate_of(found: Program) -> str:
    component = found.workload.labels[COMPONENT]
    return component if component in CERTIFICATE_NAMES else "launcher"


def seconds_to_end(found: Program, folder: Path) -> int:
    """Return how long its program takes to end at most, from SIGTERM on."""
    settings = settings_of(found, folder)
    match settings:
        case ControllerSettings():
            return settings.drain_seconds
        case WorkerSettings():
            return math.ceil(settings.worker_time_limit_seconds)
        case ServiceSettings():
            served = settings.server()
        case RepositorySettings():
            served = settings.grpc()
        case _:
            raise AssertionError(f"{found} serves nobody")
    waits = served.notserving_wait_seconds + served.drain_seconds + _CANCELLED_SECONDS
    return math.ceil(waits)
