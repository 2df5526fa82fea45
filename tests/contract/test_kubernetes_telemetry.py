"""What the manifests say of metrics, alerts, traces and the audit log."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from controller_tier.settings import ControllerSettings
from k8s.alert_rules import RULES, rules_text
from k8s.network import COMPONENT, reached_namespaces
from k8s.wellformed import quantity
from monitoring.alerts import ALERTS
from service_tier.settings import ServiceSettings
from tests.contract.manifest_environment import settings_of
from tests.contract.manifests import OVERLAYS, Program, of_component, programs, rendered

KUBERNETES = Path(__file__).resolve().parents[2] / "docs" / "kubernetes.md"
SERVED = ("controller", "service", "repository", "worker")
PRODUCTION = ("production", "microservices")


def test_the_alert_rules_are_those_that_the_code_makes() -> None:
    assert RULES.read_text() == rules_text(), "Run `make k8s-rules` and commit."
    [rule] = rendered("production").of("PrometheusRule")
    assert rule.spec["groups"] == yaml.safe_load(rules_text())["spec"]["groups"]


def test_the_alert_rules_hold_all_groups_of_what_prometheus_reads(tmp_path: Path) -> None:
    alerts = tmp_path / "alerts.yml"
    groups = [{"name": "edge", "rules": [{"alert": "Down", "expr": "up == 0", "for": "2m"}]}]
    alerts.write_text(yaml.safe_dump({"groups": groups}))
    assert yaml.safe_load(rules_text(alerts))["spec"] == {"groups": groups}
    assert yaml.safe_load(rules_text(tmp_path / "none.yml"))["spec"] == {"groups": []}


@pytest.mark.parametrize("name", PRODUCTION)
def test_the_alert_for_what_tells_no_metrics_is_for_the_job_that_the_monitor_makes(
    name: str,
) -> None:
    [monitor] = rendered(name).of("PodMonitor")
    [down] = [alert for alert in ALERTS if alert.name == "ArcanaTargetDown"]
    [wanted] = re.findall(r'up\{job=~"(.+)"\}', down.expression)
    # As the operator calls it, where no `jobLabel` says another.
    assert re.fullmatch(wanted, f"{monitor.namespace}/{monitor.name}")
    assert "jobLabel" not in monitor.spec


@pytest.mark.parametrize("name", PRODUCTION)
@pytest.mark.parametrize("tier", SERVED)
def test_every_process_may_reach_the_collector_that_its_spans_go_to(
    name: str, tier: str, tmp_path: Path
) -> None:
    for found in of_component(name, tier):
        url = urlsplit(found.environ["OTEL_EXPORTER_OTLP_ENDPOINT"])
        _, _, namespace = (url.hostname or "").partition(".")
        assert (tier, namespace, url.port) in reached_namespaces(rendered(name))
        traced: Any = settings_of(found, tmp_path)
        # All of them would cost a third more processor time.
        assert traced.tracing(tier).ratio == 0.01


@pytest.mark.parametrize("name", OVERLAYS)
def test_nobody_but_those_that_make_spans_may_reach_the_collector(name: str) -> None:
    reached = {
        who for who, namespace, _ in reached_namespaces(rendered(name)) if namespace == "tracing"
    }
    sending = {
        each.workload.labels[COMPONENT]
        for each in programs(name)
        if "OTEL_EXPORTER_OTLP_ENDPOINT" in each.environ
    }
    assert reached == sending == (set() if name == "dev" else set(SERVED))


@pytest.mark.parametrize("name", PRODUCTION)
def test_acts_are_passed_on_beside_those_that_record_them_and_beside_nobody_else(
    name: str,
) -> None:
    for found in programs(name):
        records = found.reads in (ControllerSettings, ServiceSettings)
        assert ("audit_log_file" in found.reads.model_fields) is records
        assert ("AUDIT_LOG_FILE" in found.environ) is records
        assert len(beside(found)) == int(records)


@pytest.mark.parametrize("name", PRODUCTION)
@pytest.mark.parametrize("tier", ["controller", "service"])
def test_acts_are_passed_on_from_the_file_that_they_are_added_to(name: str, tier: str) -> None:
    for found in of_component(name, tier):
        [audit] = beside(found)
        *python, module, path = audit["command"]
        assert python == ["python", "-m"]
        assert callable(import_module(module).main)
        # The tier's own code, in the tier's own image.
        assert audit["image"] == found.image
        assert path == found.environ["AUDIT_LOG_FILE"]
        # One that ends would not be started again, and the pod would wait for its end.
        assert audit["restartPolicy"] == "Always"
        shared = found.mounted(path)
        assert shared is not None
        for container in (found.container, audit):
            [mount] = [each for each in container["volumeMounts"] if each["name"] == shared[0]]
            assert path == f"{mount['mountPath']}/{shared[1]}"
            assert not mount.get("readOnly")
            # The file is its owner's alone.
            assert "runAsUser" not in container["securityContext"]
        [volume] = [each for each in found.pod.spec["volumes"] if each["name"] == shared[0]]
        assert volume["emptyDir"].keys() == {"sizeLimit"}


@pytest.mark.parametrize("name", PRODUCTION)
@pytest.mark.parametrize("tier", ["controller", "service"])
def test_a_node_may_keep_ten_times_the_usual_output_of_what_passes_acts_on(
    name: str, tier: str
) -> None:
    # By default kubelet keeps five files of 10 MiB of a container's output, and counts them as its
    # container's; nodes of some providers keep five of 50 MiB.
    usual = 5 * quantity("10Mi")
    for found in of_component(name, tier):
        [audit] = beside(found)
        most = quantity(audit["resources"]["limits"]["ephemeral-storage"])
        assert most >= 10 * usual
        assert f"limit of {most / quantity('1Mi'):g} MiB" in KUBERNETES.read_text()


def beside(found: Program) -> list[Any]:
    """Return the containers that run beside a program for as long as it does."""
    return list(found.pod.spec.get("initContainers", ()))
