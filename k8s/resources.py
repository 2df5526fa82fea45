"""Kubernetes resources as the checks see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Where a kind keeps the template of its pods.
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "Pod": (),
}
CLUSTER_KINDS = frozenset({"Namespace", "ClusterIssuer", "ClusterRole", "ClusterRoleBinding"})


def at(document: Any, *path: str) -> Any:
    """Return what is at a path of keys; None where one of them is missing."""
    for key in path:
        if not isinstance(document, Mapping) or key not in document:
            return None
        document = document[key]
    return document


@dataclass(frozen=True, slots=True)
class Pod:
    """The pods that a workload makes."""

    labels: Mapping[str, str]
    spec: Mapping[str, Any]

    @property
    def containers(self) -> Sequence[Mapping[str, Any]]:
        """All containers, those that run first among them."""
        return [
            *(self.spec.get("initContainers") or ()),
            *(self.spec.get("containers") or ()),
            *(self.spec.get("ephemeralContainers") or ()),
        ]

    def port(self, wanted: str | int) -> int | None:
        """Return the number of a port, by its name or number; None when no container has it."""
        for container in self.containers:
            for port in container.get("ports") or ():
                if wanted in (port.get("name"), port["containerPort"]):
                    return int(port["containerPort"])
        return None


@dataclass(frozen=True, slots=True)
class Resource:
    """One document of a rendered overlay."""

    document: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Its kind, such as Deployment."""
        return str(self.document["kind"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(at(self.document, "metadata", "name"))

    @property
    def namespace(self) -> str | None:
        """Its namespace; None when it has none."""
        found: str | None = at(self.document, "metadata", "namespace")
        return found

    @property
    def labels(self) -> Mapping[str, str]:
        """Its own labels, not those of its pods."""
        return at(self.document, "metadata", "labels") or {}

    @property
    def spec(self) -> Mapping[str, Any]:
        """What it is to be."""
        return self.document.get("spec") or {}

    @property
    def pod(self) -> Pod | None:
        """The pods it makes; None for what makes none."""
        if self.kind not in _TEMPLATES:
            return None
        template = at(self.document, *_TEMPLATES[self.kind]) or {}
        return Pod(at(template, "metadata", "labels") or {}, template.get("spec") or {})

    def __str__(self) -> str:
        """As kubectl would name it."""
        return f"{self.kind}/{self.name}"


class Rendering:
    """All resources of an overlay."""

    def __init__(self, documents: Sequence[Mapping[str, Any]]) -> None:
        self.resources = [Resource(document) for document in documents]

    def __iter__(self) -> Iterator[Resource]:
        """Go through them in their order."""
        return iter(self.resources)

    def of(self, *kinds: str) -> list[Resource]:
        """Return those of these kinds."""
        return [each for each in self.resources if each.kind in kinds]

    def find(self, kind: str, name: str) -> Resource | None:
        """Return the one of that kind and name, if there is one."""
        return next((each for each in self.of(kind) if each.name == name), None)

    @property
    def workloads(self) -> list[tuple[Resource, Pod]]:
        """All that makes pods, with its pods."""
        return [(each, each.pod) for each in self.resources if each.pod is not None]

    def pods(self, selector: Mapping[str, Any] | None) -> list[Pod]:
        """Return the pods that a label selector matches; an absent one matches none."""
        if selector is None:
            return []
        return [pod for _, pod in self.workloads if matches(selector, pod.labels)]


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Tell whether a LabelSelector (matchLabels, matchExpressions) matches; an empty one always."""
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_holds(each, labels) for each in selector.get("matchExpressions") or ())


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case other:
            raise ValueError(f"{other!r} is no operator of a label selector")
