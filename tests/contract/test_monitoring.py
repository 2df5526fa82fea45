"""Series, dashboards and alerts agree with one another and with what is committed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from controller_tier.settings import ControllerSettings
from launcher.settings import LauncherSettings
from monitoring import generate
from monitoring.alerts import ALERTS, Alert
from monitoring.boards import DASHBOARDS
from monitoring.panels import Dashboard
from monitoring.promql import Named, Selector, named_in
from monitoring.rules import anchor
from monitoring.series import FAMILIES, SAMPLES
from repository_tier.settings import RepositorySettings
from repository_tier.worker.settings import WorkerSettings
from service_tier.settings import ServiceSettings
from tier_runtime.metrics.families import Family

ROOT = Path(__file__).resolve().parents[2]
# What Prometheus and Kubernetes put beside every series, so that none of ours may be called so.
TARGET_LABELS = frozenset(
    {"job", "instance", "service", "namespace", "pod", "container", "endpoint", "node"}
)
UNITS = ("_seconds", "_bytes", "_total", "_info")
EVERY_FAMILY = sorted(FAMILIES.values(), key=lambda family: family.name)
SETTINGS = {
    name.upper()
    for settings in (
        *(ControllerSettings, ServiceSettings, RepositorySettings),
        *(WorkerSettings, LauncherSettings),
    )
    for name in settings.model_fields
}


def _queries() -> Iterator[tuple[str, str]]:
    for board in DASHBOARDS:
        for panel in board.panels:
            for query in panel.queries:
                yield f"{board.name}: {panel.title}", query.expression
    for alert in ALERTS:
        yield alert.name, alert.expression


def _labels_of(sample: str) -> set[str]:
    if sample == "up":
        return set(TARGET_LABELS)
    return {*SAMPLES[sample].labels, *TARGET_LABELS} | (
        {"le"} if sample.endswith("_bucket") else set()
    )


@pytest.mark.parametrize("family", EVERY_FAMILY, ids=lambda family: family.name)
def test_a_series_is_named_as_prometheus_wants_it(family: Family) -> None:
    """See prometheus.io/docs/practices/naming."""
    assert re.fullmatch(r"arcana_[a-z]+(_[a-z]+)*", family.name)
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert (family.kind == "histogram") == bool(family.buckets)
    assert family.kind != "histogram" or family.name.endswith(("_seconds", "_bytes"))
    assert not re.search(r"_(ms|millis|minutes|kb|mb|percent)(_|$)", family.name)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", label) for label in family.labels)
    assert TARGET_LABELS.isdisjoint(family.labels)
    assert "le" not in family.labels
    assert list(family.buckets) == sorted(set(family.buckets))
    assert family.help.endswith(".")
    assert len(family.labels) <= 3


def test_no_two_series_share_a_name() -> None:
    names = [name for family in FAMILIES.values() for name in family.sample_names]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("where", "expression"), list(_queries()))
def test_every_series_and_label_that_is_named_exists(where: str, expression: str) -> None:
    named = named_in(expression)

    assert named.selectors, where
    for selector in named.selectors:
        assert selector.name == "up" or selector.name in SAMPLES, where
        assert set(selector.labels) <= _labels_of(selector.name), where
    known = set.union(*(_labels_of(selector.name) for selector in named.selectors))
    assert set(named.group_labels) <= known, where


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: board.name)
def test_a_legend_names_labels_that_its_query_leaves(board: Dashboard) -> None:
    for panel in board.panels:
        for query in panel.queries:
            told = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
            assert told <= {*named_in(query.expression).group_labels}, query


def test_a_counter_is_never_shown_as_it_is() -> None:
    for where, expression in _queries():
        for selector in named_in(expression).selectors:
            family = SAMPLES.get(selector.name)
            if family is not None and family.kind != "gauge":
                wrapped = re.search(rf"(rate|increase)\({selector.name}\b", expression)
                assert wrapped, f"{where}: {selector.name}"


def test_nearly_every_series_is_shown_somewhere() -> None:
    shown = {
        SAMPLES[selector.name].name
        for _, expression in _queries()
        for selector in named_in(expression).selectors
        if selector.name in SAMPLES
    }
    # Looked at by hand, or only together with others.
    assert set(FAMILIES) - shown <= {
        "arcana_build_info",
        "arcana_breaker_opened_total",
        "arcana_process_start_time_seconds",
        "arcana_rpc_server_arrived_total",
    }


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_says_why_it_is_one_and_what_to_do(alert: Alert) -> None:
    assert re.fullmatch(r"Arcana[A-Za-z]+", alert.name)
    assert re.search(r"(>|==|<) [\d.]+$", alert.expression)
    assert min(len(alert.summary), len(alert.why), len(alert.runbook)) > 20
    used = set(re.findall(r"\$labels\.(\w+)", alert.summary))
    named = named_in(alert.expression)
    assert used <= {*named.group_labels, *(TARGET_LABELS if not named.group_labels else ())}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_the_runbook_of_an_alert_is_where_the_rule_says(alert: Alert) -> None:
    page, _, heading = anchor(alert).partition("#")
    headings = re.findall(r"^## (\w+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert heading in {each.lower() for each in headings}


def test_every_setting_that_a_runbook_names_exists() -> None:
    texts = " ".join(f"{alert.why} {alert.runbook}" for alert in ALERTS)
    texts += " ".join(panel.description for board in DASHBOARDS for panel in board.panels)
    named = set(re.findall(r"(?<![A-Z_…])[A-Z]+(?:_[A-Z]+)+", texts))
    assert named - SETTINGS <= {"DEADLINE_EXCEEDED", "OUTCOME_UNKNOWN", "RESOURCE_EXHAUSTED"}


def test_what_is_committed_is_what_the_code_generates() -> None:
    assert generate.stale(ROOT) == []
    generate.main(["--check"])


def test_what_is_committed_can_be_loaded() -> None:
    rules = yaml.safe_load((ROOT / "monitoring/prometheus/alerts.yml").read_text())
    assert [rule["alert"] for rule in rules["groups"][0]["rules"]] == [
        alert.name for alert in ALERTS
    ]
    for board in DASHBOARDS:
        document = json.loads((ROOT / f"monitoring/grafana/{board.name}.json").read_text())
        assert len({panel["id"] for panel in document["panels"]}) == len(board.panels)


def test_what_is_stale_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"make monitoring.*overview\.json"):
        generate.main(["--check"], tmp_path)
    generate.main([], tmp_path)
    assert generate.stale(tmp_path) == []
    generate.main(["--check"], tmp_path)


@pytest.mark.parametrize(
    ("expression", "selectors", "group_labels"),
    [
        ("up", [("up",)], []),
        ('sum(rate(a_total{x=~"by {y}",z!="1"}[5m])) > 0.5', [("a_total", "x", "z")], []),
        ("sum by (x) (a) / on (x) group_left (y) b offset 5m", [("a",), ("b",)], ["x", "x", "y"]),
        ("sum(a) by (x)", [("a",)], ["x"]),
        ("histogram_quantile(0.9, sum by (le) (rate(a_b[$__rate_interval])))", [("a_b",)], ["le"]),
        ("topk(5, a) or vector(0) and 1e3", [("a",)], []),
    ],
)
def test_names_are_found_in_promql(
    expression: str, selectors: list[tuple[str, ...]], group_labels: list[str]
) -> None:
    found = [Selector(name, tuple(labels)) for name, *labels in selectors]
    assert named_in(expression) == Named(tuple(found), tuple(group_labels))


@pytest.mark.parametrize("expression", ["a{x=", "sum by (x", '{x="1"}', "a ? b"])
def test_what_is_no_promql_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"no PromQL|No [)}]|without a name"):
        named_in(expression)
