"""Whether the rules of the metrics adapter serve what autoscalers ask for, and as it is meant.

The rules lie beside this module, in the form of prometheus-adapter's own configuration
(https://github.com/kubernetes-sigs/prometheus-adapter/blob/master/docs/config.md). An autoscaler
whose metric nobody serves goes up by its other metrics, and never down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import yaml

from k8s.kubectl import HERE
from k8s.resources import Rendering, Resource, at
from monitoring.promql import Selector, named_in

RULES = HERE / "adapter_rules.yaml"

# The type of an autoscaler's metric, where it has its name, and the adapter's list that serves it.
_LISTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"Pods": ("pods", "rules"), "External": ("external", "externalRules")}
)
# What an autoscaler's own is told by: its namespace, and of what pods have each pod.
_RESOURCES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"Pods": ("namespace", "pod"), "External": ("namespace",)}
)
_SERIES = re.compile(r'__name__="(\w+)"')


@dataclass(frozen=True, slots=True)
class Rule:
    """How the adapter answers for one series, under the name that the series has in Prometheus."""

    series: str
    query: str
    # The labels that stand for resources of Kubernetes, by the resource.
    labels: Mapping[str, str]

    def query_for(self, matchers: str, group_by: str = "pod") -> str:
        """Return the PromQL that the adapter asks for pods, or for who asks for no pod."""
        filled = self.query.replace("<<.Series>>", self.series)
        return filled.replace("<<.LabelMatchers>>", matchers).replace("<<.GroupBy>>", group_by)


@cache
def served() -> Mapping[tuple[str, str], Rule]:
    """Return the rules by the type of metric that they serve (Pods or External) and its name."""
    document = yaml.safe_load(RULES.read_text())
    found: dict[tuple[str, str], Rule] = {}
    for kind, (_, name) in _LISTS.items():
        for each in document[name]:
            rule = _rule(each)
            found[kind, rule.series] = rule
    return found


def adapter_faults(rendering: Rendering, rules: Mapping[tuple[str, str], Rule]) -> list[str]:
    """Return the metrics that autoscalers ask for and no rule serves, or not as they are meant.

    Args:
        rendering: where the autoscalers are.
        rules: what the adapter is told, as `served` gives it.
    """
    return [
        f"{autoscaler}: {fault}"
        for autoscaler in rendering.of("HorizontalPodAutoscaler")
        for fault in _faults(autoscaler, rules)
    ]


def _faults(autoscaler: Resource, rules: Mapping[tuple[str, str], Rule]) -> Iterator[str]:
    for metric in autoscaler.spec.get("metrics") or ():
        kind = metric["type"]
        if kind == "Resource":
            continue
        if kind not in _LISTS:
            yield f"no rule of the adapter is for metrics of the type {kind}"
            continue
        asked = at(metric, _LISTS[kind][0], "metric")
        name = at(asked, "name")
        rule = rules.get((kind, name))
        if rule is None:
            yield f"no rule of the adapter serves {name!r} for the type {kind}"
            continue
        for fault in _rule_faults(kind, rule, _chosen_by(at(asked, "selector") or {})):
            yield f"the adapter's rule for {rule.series!r} {fault}"


def _rule_faults(kind: str, rule: Rule, chosen_by: set[str]) -> Iterator[str]:
    for resource in _RESOURCES[kind]:
        # The Prometheus operator calls them as Kubernetes does.
        if rule.labels.get(resource) != resource:
            yield f"finds no {resource} by the label {resource!r}"
    try:
        named = named_in(rule.query_for('namespace="any"'))
    except ValueError as error:
        yield f"has a query that cannot be read: {error}"
        return
    if named.selectors != (Selector(rule.series, ("namespace",)),):
        yield "has a query of another series, or of all namespaces"
    # One number for all pods is none's, and one for all statuses also that of those not asked for.
    apart = {"pod"} if kind == "Pods" else chosen_by
    for label in sorted(apart - set(named.group_labels)):
        yield f"has a query that does not tell each {label!r} apart"


def _chosen_by(selector: Mapping[str, Any]) -> set[str]:
    """Return the labels by which an autoscaler chooses among the series of a name."""
    expressions = selector.get("matchExpressions") or ()
    return {*(selector.get("matchLabels") or ()), *(each["key"] for each in expressions)}


def _rule(document: Mapping[str, Any]) -> Rule:
    [series] = _SERIES.findall(document["seriesQuery"])
    overrides = document["resources"]["overrides"]
    labels = {each["resource"]: label for label, each in overrides.items()}
    return Rule(series, document["metricsQuery"], labels)
