"""What the schemas take for text and an API server, or kubelet, refuses or misreads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from k8s.resources import CLUSTER_KINDS, Pod, Rendering, Resource, at

# RFC 1123 and RFC 1035, as Kubernetes reads them.
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_KEY_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_CRON_FIELD = re.compile(r"[0-9*/,-]+")
_FACTORS: Mapping[str | None, Decimal] = {
    None: Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** n for n, unit in enumerate("kMGTPE", start=1)},
    **{f"{unit}i": Decimal(1024) ** n for n, unit in enumerate("KMGTPE", start=1)},
}
# A revision's or a Job's pods add a suffix of up to 17 characters to this, and 63 may be in all.
_LONGEST_WORKLOAD_NAME = 46


def quantity(text: str | int | float) -> Decimal:
    """Read a quantity such as 500m or 1Gi.

    Raises:
        ValueError: it is none.
    """
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(f"{text!r} is no quantity")
    return Decimal(match[1]) * _FACTORS[match[2]]


def form_faults(rendering: Rendering) -> list[str]:
    """Return what is malformed or contradicts itself, whatever else there is."""
    faults = [f"{resource}: {fault}" for resource in rendering for fault in _faults(resource)]
    namespaces = {each.name for each in rendering.of("Namespace")}
    seen: Counter[tuple[str, str]] = Counter()
    for resource in rendering:
        seen[resource.kind, resource.name] += 1
        if resource.kind in CLUSTER_KINDS:
            continue
        if resource.namespace not in namespaces:
            faults.append(f"{resource}: there is no namespace {resource.namespace!r}")
    faults += [f"{kind}/{name}: is there {n} times" for (kind, name), n in seen.items() if n > 1]
    return faults


def _faults(resource: Resource) -> Iterator[str]:
    yield from _name_faults(resource)
    yield from _label_faults(resource.labels)
    if resource.kind == "HorizontalPodAutoscaler":
        lowest, highest = resource.spec.get("minReplicas", 1), resource.spec["maxReplicas"]
        if lowest > highest:
            yield f"minReplicas {lowest} is more than maxReplicas {highest}"
    if resource.kind == "PodDisruptionBudget" and len(
        resource.spec.keys() & {"minAvailable", "maxUnavailable"}
    ) != 1:  # fmt: skip
        yield "exactly one of minAvailable and maxUnavailable must be given"
    if resource.kind == "CronJob":
        fields = str(resource.spec["schedule"]).split()
        if len(fields) != 5 or not all(map(_CRON_FIELD.fullmatch, fields)):
            yield f"schedule {resource.spec['schedule']!r} has not five fields"
    for claim in _claims(resource):
        yield from _quantity_faults("storage", at(claim, "resources", "requests"))
    if resource.pod is not None:
        yield from _pod_faults(resource, resource.pod)


def _name_faults(resource: Resource) -> Iterator[str]:
    form = {"Service": _SERVICE_NAME, "Namespace": _LABEL}.get(resource.kind, _SUBDOMAIN)
    if form.fullmatch(resource.name) is None or len(resource.name) > 253:
        yield "its name is malformed"
    if resource.pod is not None and len(resource.name) > _LONGEST_WORKLOAD_NAME:
        yield f"its name has more than {_LONGEST_WORKLOAD_NAME} characters"


def _label_faults(labels: Mapping[str, str]) -> Iterator[str]:
    for key, value in labels.items():
        prefix, slash, name = key.rpartition("/")
        is_key = _KEY_NAME.fullmatch(name) and (not slash or _SUBDOMAIN.fullmatch(prefix))
        if not is_key:
            yield f"label {key!r} is malformed"
        if _LABEL_VALUE.fullmatch(value) is None:
            yield f"label {key!r} cannot have the value {value!r}"


def _claims(resource: Resource) -> Iterable[Mapping[str, Any]]:
    if resource.kind == "PersistentVolumeClaim":
        return [resource.spec]
    return [claim["spec"] for claim in resource.spec.get("volumeClaimTemplates") or ()]


def _pod_faults(resource: Resource, pod: Pod) -> Iterator[str]:
    yield from _label_faults(pod.labels)
    volumes = pod.spec.get("volumes") or ()
    yield from _repeated("volume", [volume["name"] for volume in volumes])
    yield from _repeated("container", [container["name"] for container in pod.containers])
    for volume in volumes:
        yield from _quantity_faults(
            "sizeLimit", {"of emptyDir": at(volume, "emptyDir", "sizeLimit")}
        )
    claimed = [
        at(each, "metadata", "name") for each in resource.spec.get("volumeClaimTemplates") or ()
    ]
    known = {volume["name"] for volume in volumes} | set(claimed)
    for container in pod.containers:
        for fault in _container_faults(container, known):
            yield f"{container['name']}: {fault}"


def _container_faults(container: Mapping[str, Any], volumes: set[str]) -> Iterator[str]:
    if _LABEL.fullmatch(container["name"]) is None:
        yield "its name is malformed"
    image = container["image"].rpartition("/")[2]
    _, colon, tag = image.partition(":")
    if "@sha256:" not in image and (not colon or tag == "latest"):
        yield f"image {container['image']} must say which one, by a tag that is not latest"
    env = [each["name"] for each in container.get("env") or ()]
    yield from _repeated("variable", env)
    yield from (f"variable {name!r} is malformed" for name in env if not _ENV_NAME.fullmatch(name))
    mounts = container.get("volumeMounts") or ()
    yield from _repeated("mountPath", [mount["mountPath"] for mount in mounts])
    yield from (
        f"volume {mount['name']!r} does not exist"
        for mount in mounts
        if mount["name"] not in volumes
    )
    yield from _port_faults(container.get("ports") or ())
    resources = container.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    wrong = [*_quantity_faults("requests", requests), *_quantity_faults("limits", limits)]
    yield from wrong
    if not wrong:
        yield from (
            f"requests more {name} than its limit"
            for name in requests.keys() & limits.keys()
            if quantity(requests[name]) > quantity(limits[name])
        )


def _port_faults(ports: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield from _repeated("port", [port["name"] for port in ports if "name" in port])
    yield from _repeated("containerPort", [port["containerPort"] for port in ports])
    for port in ports:
        name = port.get("name")
        if name is not None and (len(name) > 15 or _PORT_NAME.fullmatch(name) is None):
            yield f"port name {name!r} is malformed"
        if not 0 < port["containerPort"] < 65536:
            yield f"there is no port {port['containerPort']}"


def _quantity_faults(place: str, given: Mapping[str, Any] | None) -> Iterator[str]:
    for name, value in (given or {}).items():
        try:
            if value is not None:
                quantity(value)
        except ValueError as error:
            yield f"{place} {name}: {error}"


def _repeated(what: str, values: Iterable[object]) -> Iterator[str]:
    yield from (f"{what} {value!r} is there twice" for value, n in Counter(values).items() if n > 1)
