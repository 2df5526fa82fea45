"""Whether resources have the form that the API servers of several versions ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types
from jsonschema.exceptions import best_match  # type: ignore[import-untyped]
from kubernetes_validate.utils import (  # type: ignore[import-untyped]  # ships no types
    all_versions,
    major_minor,
    schema_contents,
)
from referencing import Registry
from referencing import Resource as _Schema

from k8s.resources import Rendering, Resource

# What is supported: the newest versions that the schemas are there for.
VERSIONS_CHECKED = 4

# Kinds of others, which the schemas do not hold: what may stand in their `spec`, of what their
# documentation names. A word that is not in here is a slip, or to be added.
_EXTENSIONS: Mapping[tuple[str, str], frozenset[str]] = {
    ("cert-manager.io/v1", "Issuer"): frozenset({"ca", "selfSigned"}),
    ("cert-manager.io/v1", "Certificate"): frozenset(
        {
            "commonName", "dnsNames", "duration", "isCA", "issuerRef", "privateKey",
            "renewBefore", "secretName", "usages",
        }
    ),
    ("monitoring.coreos.com/v1", "PodMonitor"): frozenset(
        {"podMetricsEndpoints", "podTargetLabels", "selector"}
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): frozenset({"groups"}),
}  # fmt: skip


def versions() -> list[str]:
    """Return the Kubernetes versions that are checked, such as 1.37, the oldest first."""
    known = list(dict.fromkeys(map(major_minor, all_versions())))
    return known[-VERSIONS_CHECKED:]


def schema_faults(rendering: Rendering) -> list[str]:
    """Return what the API server of one of the versions would refuse, unknown fields included."""
    return [
        fault
        for resource in rendering
        for fault in _faults(json.dumps(resource.document, sort_keys=True))
    ]


@cache
def _faults(text: str) -> Sequence[str]:
    # Overlays have most of their resources in common, and a check takes tens of milliseconds.
    document: dict[str, Any] = json.loads(text)
    resource = Resource(document)
    allowed = _EXTENSIONS.get((document.get("apiVersion", ""), resource.kind))
    if allowed is not None:
        unknown = sorted(set(resource.spec) - allowed)
        return [f"{resource}: spec has no field {name!r}" for name in unknown]
    return [
        f"{resource}: Kubernetes {version}: {fault}"
        for version in versions()
        if (fault := _fault(document, version))
    ]


def _fault(document: Mapping[str, Any], version: str) -> str | None:
    validator = _validator(version, str(document["kind"]).lower(), str(document["apiVersion"]))
    if validator is None:
        return f"there is no kind {document['kind']!r} of {document['apiVersion']!r}"
    error = best_match(validator.iter_errors(document))
    if error is None:
        return None
    place = ".".join(str(step) for step in error.absolute_path)
    return f"{place or 'it'}: {error.message[:300]}"


@cache
def _validator(version: str, kind: str, api: str) -> Draft202012Validator | None:
    """Return what checks one kind; None when that version does not have it.

    kubernetes_validate.validate() does the same, and reads all definitions again for each document.
    """
    # What is of rbac.authorization.k8s.io/v1 is in a file …-rbac-v1, of apps/v1 in one …-apps-v1.
    group, slash, number = api.rpartition("/")
    file = f"{kind}-{group.partition('.')[0]}{'-' if slash else ''}{number}.json"
    folder = f"kubernetes-json-schema/v{version}.0-local-strict"
    try:
        schema = schema_contents(f"{folder}/{file}", version)
    except FileNotFoundError:
        return None
    registry: Registry[Any] = Registry().with_resource(schema["$id"], _Schema.from_contents(schema))
    definitions = _definitions(f"{folder}/_definitions.json", version)
    return Draft202012Validator(schema, registry=definitions @ registry)


@cache
def _definitions(file: str, version: str) -> _Schema[Any]:
    return _Schema.from_contents(schema_contents(file, version))
