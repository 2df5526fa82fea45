"""Autoscalers go by what there is, and what they may start fits into the database."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller_tier.settings import ControllerSettings
from k8s.adapter_rules import adapter_faults, served
from k8s.network import COMPONENT
from k8s.resources import Resource
from k8s.wellformed import quantity
from monitoring.series import FAMILIES
from repository_tier.jobs.rows import QUEUED, RUNNING
from repository_tier.settings import RepositorySettings
from repository_tier.worker.settings import WorkerSettings
from service_tier.settings import ServiceSettings
from tests.contract.manifest_environment import settings_of
from tests.contract.manifests import of_component, program, rendered

ROOT = Path(__file__).resolve().parents[2]
# With the metric, besides CPU, that tells when a tier is too small.
METRICS = {
    "controller": ("Pods", "arcana_http_requests_in_flight"),
    "service": ("Pods", "arcana_rpc_server_in_flight"),
    "repository": ("Pods", "arcana_rpc_server_in_flight"),
    "worker": ("External", "arcana_jobs"),
}
SCALED = [(name, tier) for name in ("production", "microservices") for tier in METRICS]


def autoscalers(name: str, tier: str) -> list[Resource]:
    found = [
        each
        for each in rendered(name).of("HorizontalPodAutoscaler")
        if each.labels[COMPONENT] == tier
    ]
    assert len(found) == len(of_component(name, tier))
    return found


@pytest.mark.parametrize(("name", "tier"), SCALED)
def test_every_autoscaler_goes_by_cpu_and_by_what_keeps_its_tier_busy(name: str, tier: str) -> None:
    kind, series = METRICS[tier]
    for each in autoscalers(name, tier):
        cpu, busy = each.spec["metrics"]
        assert cpu["resource"]["name"] == "cpu"
        assert busy["type"] == kind
        assert busy[kind.lower()]["metric"]["name"] == series


@pytest.mark.parametrize(("kind", "series"), sorted(served()))
def test_every_rule_of_the_adapter_is_for_a_series_that_is_there_and_is_asked_for(
    kind: str, series: str
) -> None:
    assert (kind, series) in METRICS.values()
    # Of a counter it would be the number since the start.
    assert FAMILIES[series].kind == "gauge"


def test_what_all_pods_of_the_repository_tier_say_alike_is_not_added_up() -> None:
    assert served()["External", "arcana_jobs"].query_for('namespace="arcana"') == (
        'max by (status) (arcana_jobs{namespace="arcana"})'
    )


# What serves a rule of its own, what is spoilt about it, and what has to be said of it.
IN_FLIGHT = ("Pods", "arcana_rpc_server_in_flight")
JOBS = ("External", "arcana_jobs")
MATCHED = "{<<.LabelMatchers>>}"
SPOILT: list[tuple[tuple[str, str], dict[str, Any], str]] = [
    (IN_FLIGHT, {"labels": {"namespace": "namespace"}}, "finds no pod by the label 'pod'"),
    (IN_FLIGHT, {"labels": {"namespace": "ns", "pod": "pod"}}, "finds no namespace by"),
    (JOBS, {"labels": {}}, "finds no namespace by the label 'namespace'"),
    (IN_FLIGHT, {"query": f"sum(<<.Series>>{MATCHED})"}, "does not tell each 'pod' apart"),
    (JOBS, {"query": f"max(<<.Series>>{MATCHED})"}, "does not tell each 'status' apart"),
    (JOBS, {"query": "max by (status) (<<.Series>>)"}, "another series, or of all namespaces"),
    (JOBS, {"query": f"max by (status) (up{MATCHED})"}, "another series, or of all namespaces"),
    (JOBS, {"query": "max by (status) (<<.Serie>>)"}, "cannot be read"),
    (JOBS, {"query": "max by (status) (<<.Series>>{"}, "cannot be read"),
]


@pytest.mark.parametrize(("key", "spoilt", "said"), SPOILT)
def test_a_rule_that_answers_something_else_than_it_is_asked_is_found(
    key: tuple[str, str], spoilt: dict[str, Any], said: str
) -> None:
    rules = {**served(), key: replace(served()[key], **spoilt)}
    found = adapter_faults(rendered("production"), rules)
    assert found != []
    assert all(f"the adapter's rule for {key[1]!r}" in each for each in found)
    assert any(said in each for each in found)


@pytest.mark.parametrize("name", ["production", "microservices"])
def test_workers_follow_the_jobs_that_wait_and_those_under_way(name: str) -> None:
    [autoscaler] = autoscalers(name, "worker")
    selector = autoscaler.spec["metrics"][1]["external"]["metric"]["selector"]
    assert selector == {
        "matchExpressions": [{"key": "status", "operator": "In", "values": [QUEUED, RUNNING]}]
    }
    assert FAMILIES["arcana_jobs"].labels == ("status",)


@pytest.mark.parametrize(("name", "tier"), SCALED)
def test_a_tier_grows_before_its_threads_are_all_taken(
    name: str, tier: str, tmp_path: Path
) -> None:
    kind, _ = METRICS[tier]
    for found, autoscaler in zip(of_component(name, tier), autoscalers(name, tier), strict=True):
        target = quantity(autoscaler.spec["metrics"][1][kind.lower()]["target"]["averageValue"])
        match settings_of(found, tmp_path):
            case ControllerSettings() as settings:
                assert target < settings.web_workers * settings.web_threads
            case ServiceSettings() as settings:
                assert target < settings.workers * settings.service_threads
            case RepositorySettings() as settings:
                assert target < settings.workers * settings.threads()
            case WorkerSettings() as settings:
                # As many wait as are worked on. With a target below the latter, workers with
                # nothing that waits would still ask for more of them.
                assert target == 2 * settings.worker_concurrency


@pytest.mark.parametrize("name", ["production", "microservices"])
def test_every_deployment_scales_is_spread_and_is_not_drained_all_at_once(name: str) -> None:
    rendering = rendered(name)
    deployments = {each.name for each in rendering.of("Deployment")}
    scaled = {
        each.spec["scaleTargetRef"]["name"] for each in rendering.of("HorizontalPodAutoscaler")
    }
    assert scaled == deployments
    assert {each.name for each in rendering.of("PodDisruptionBudget")} == deployments
    assert all(each.spec["minReplicas"] >= 2 for each in rendering.of("HorizontalPodAutoscaler"))
    for each in rendering.of("Deployment"):
        assert each.pod is not None
        spread = {at["topologyKey"] for at in each.pod.spec["topologySpreadConstraints"]}
        assert spread == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}


def test_the_database_of_dev_takes_the_connections_of_all_repository_pods(tmp_path: Path) -> None:
    found = program("dev", "repository")
    settings = settings_of(found, tmp_path)
    assert isinstance(settings, RepositorySettings)
    mysql = rendered("dev").find("StatefulSet", "mysql")
    assert mysql is not None
    assert mysql.pod is not None
    [most] = [
        int(argument.rpartition("=")[2])
        for argument in mysql.pod.containers[0]["args"]
        if argument.startswith("--max-connections=")
    ]
    # One pod, a second one while it is replaced, and a migration. A pod has a pool to read and one
    # to write.
    assert 2 * 2 * settings.database_pool_size + 1 <= most


def test_the_number_of_connections_that_production_may_open_is_told(tmp_path: Path) -> None:
    found = program("production", "repository")
    settings = settings_of(found, tmp_path)
    assert isinstance(settings, RepositorySettings)
    autoscaler = rendered("production").find("HorizontalPodAutoscaler", "repository")
    assert autoscaler is not None
    deployment = rendered("production").find("Deployment", "repository")
    assert deployment is not None
    # While it is rolled out there are more than the autoscaler wants.
    surge = deployment.spec["strategy"]["rollingUpdate"]["maxSurge"]
    most = (autoscaler.spec["maxReplicas"] + surge) * 2 * settings.database_pool_size
    assert f"{most} connections" in (ROOT / "docs" / "kubernetes.md").read_text()
