"""Whether the metrics that autoscalers ask for are served by the rules of the metrics adapter.

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

RULES = HERE / "adapter_rules.yaml"

# The type of an autoscaler's metric, where it has its name, and the adapter's list that serves it.
_LISTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"Pods": ("pods", "rules"), "External": ("external", "externalRules")}
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


def adapter_faults(rendering: Rendering) -> list[str]:
    """Return the metrics that autoscalers ask for and no rule serves."""
    return [
        f"{autoscaler}: {fault}"
        for autoscaler in rendering.of("HorizontalPodAutoscaler")
        for fault in _faults(autoscaler)
    ]


def _faults(autoscaler: Resource) -> Iterator[str]:
    for metric in autoscaler.spec.get("metrics") or ():
        kind = metric["type"]
        if kind == "Resource":
            continue
        if kind not in _LISTS:
            yield f"no rule of the adapter is for metrics of the type {kind}"
            continue
        name = at(metric, _LISTS[kind][0], "metric", "name")
        if (kind, name) not in served():
            yield f"no rule of the adapter serves {name!r} for the type {kind}"


def _rule(document: Mapping[str, Any]) -> Rule:
    [series] = _SERIES.findall(document["seriesQuery"])
    overrides = document["resources"]["overrides"]
    labels = {each["resource"]: label for label, each in overrides.items()}
    return Rule(series, document["metricsQuery"], labels)
