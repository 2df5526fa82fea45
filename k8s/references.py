"""Whether what one resource says of another is so: names, selectors, ports, keys.

An API server takes all of this as it comes, and what does not fit fails later, or does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from k8s.given_secrets import CERTIFICATE_KEYS
from k8s.resources import Pod, Rendering, Resource, at, matches

_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
Secrets = Mapping[str, frozenset[str]]


def reference_faults(rendering: Rendering, given: Secrets) -> list[str]:
    """Return what leads nowhere.

    `given` are the Secrets that are made by hand, with their keys.
    """
    secrets = {**given, **_made_secrets(rendering)}
    faults = []
    for resource in rendering:
        check = _CHECKS.get(resource.kind)
        checks = [] if check is None else [*check(rendering, resource)]
        if resource.pod is not None:
            checks += _pod_faults(rendering, resource, resource.pod, secrets)
        faults += [f"{resource}: {fault}" for fault in checks]
    used = {name for _, pod in rendering.workloads for name, _ in _secret_keys(pod)}
    return faults + [f"Secret/{name}: nothing reads it" for name in sorted(set(given) - used)]


def _made_secrets(rendering: Rendering) -> dict[str, frozenset[str]]:
    made = {str(each.spec["secretName"]): CERTIFICATE_KEYS for each in rendering.of("Certificate")}
    for secret in rendering.of("Secret"):
        data = {**(secret.document.get("data") or {}), **(secret.document.get("stringData") or {})}
        made[secret.name] = frozenset(data)
    return made


def _certificate_faults(rendering: Rendering, certificate: Resource) -> Iterator[str]:
    issuer = at(certificate.spec, "issuerRef", "name")
    if rendering.find(at(certificate.spec, "issuerRef", "kind"), issuer) is None:
        yield f"there is no issuer {issuer!r}"


def _issuer_faults(rendering: Rendering, issuer: Resource) -> Iterator[str]:
    secret = at(issuer.spec, "ca", "secretName")
    if secret is not None and secret not in _made_secrets(rendering):
        yield f"nobody makes the Secret {secret!r}"


def _selector_faults(rendering: Rendering, workload: Resource) -> Iterator[str]:
    selector = workload.spec.get("selector") or {}
    if not selector.get("matchLabels"):
        yield "its selector names no label"
    for other, pod in rendering.workloads:
        is_own = other is workload
        if matches(selector, pod.labels) is not is_own:
            yield "its selector misses its own pods" if is_own else f"its selector takes {other}"


def _service_faults(rendering: Rendering, service: Resource) -> Iterator[str]:
    if service.spec.get("type") == "ExternalName":
        return
    pods = rendering.pods({"matchLabels": service.spec.get("selector") or {"": ""}})
    if not pods:
        yield "its selector matches no pod"
    for port in service.spec.get("ports") or ():
        target = port.get("targetPort", port["port"])
        if any(pod.port(target) is None for pod in pods):
            yield f"no container has the port {target!r}"
        # A headless Service translates no port.
        is_headless = service.spec.get("clusterIP") == "None"
        if is_headless and any(pod.port(target) not in {port["port"], None} for pod in pods):
            yield f"it is headless, and {port['port']} is not the container's port"


def _autoscaler_faults(rendering: Rendering, autoscaler: Resource) -> Iterator[str]:
    target = autoscaler.spec["scaleTargetRef"]
    found = rendering.find(target["kind"], target["name"])
    if found is None or found.pod is None:
        yield f"there is no {target['kind']} {target['name']!r}"
        return
    if "replicas" in found.spec:
        yield f"{found} says how many it is itself, and each apply would undo the autoscaler"
    for metric in autoscaler.spec.get("metrics") or ():
        name = at(metric, "resource", "name")
        if name is not None and any(
            name not in (at(container, "resources", "requests") or {})
            for container in found.pod.containers
        ):
            yield f"a share of {name} cannot be told of a container that requests none"


def _budget_faults(rendering: Rendering, budget: Resource) -> Iterator[str]:
    selector = budget.spec.get("selector")
    reached = [
        str(resource)
        for resource, pod in rendering.workloads
        if selector is not None and matches(selector, pod.labels)
    ]
    if len(reached) != 1:
        yield f"its selector must match the pods of one workload, and matches {reached or 'none'}"


def _ingress_faults(rendering: Rendering, ingress: Resource) -> Iterator[str]:
    secured = {host for tls in ingress.spec.get("tls") or () for host in tls.get("hosts") or ()}
    for rule in ingress.spec.get("rules") or ():
        if rule.get("host") not in secured:
            yield f"host {rule.get('host')!r} has no TLS"
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            service = rendering.find("Service", backend["name"])
            ports = [] if service is None else service.spec.get("ports") or []
            wanted = backend["port"]
            if not any(wanted.items() <= {**p, "number": p["port"]}.items() for p in ports):
                yield f"there is no service {backend['name']!r} with the port {wanted}"


def _monitor_faults(rendering: Rendering, monitor: Resource) -> Iterator[str]:
    pods = rendering.pods(monitor.spec.get("selector"))
    if not pods:
        yield "its selector matches no pod"
    for endpoint in monitor.spec["podMetricsEndpoints"]:
        if any(pod.port(endpoint["port"]) is None for pod in pods):
            yield f"a pod has no port {endpoint['port']!r}"


def _stateful_faults(rendering: Rendering, workload: Resource) -> Iterator[str]:
    yield from _selector_faults(rendering, workload)
    headless = rendering.find("Service", workload.spec.get("serviceName", ""))
    if headless is None or headless.spec.get("clusterIP") != "None":
        yield f"there is no headless Service {workload.spec.get('serviceName')!r}"


def _pod_faults(
    rendering: Rendering, resource: Resource, pod: Pod, secrets: Secrets
) -> Iterator[str]:
    account = pod.spec.get("serviceAccountName", "default")
    if rendering.find("ServiceAccount", account) is None:
        yield f"there is no ServiceAccount {account!r}"
    for spread in pod.spec.get("topologySpreadConstraints") or ():
        selector = spread.get("labelSelector")
        if [other for other, it in rendering.workloads if matches(selector or {}, it.labels)] != [
            resource
        ]:
            yield f"what spreads over {spread['topologyKey']} is not its own pods"
    for volume in pod.spec.get("volumes") or ():
        claim = at(volume, "persistentVolumeClaim", "claimName")
        if claim is not None and rendering.find("PersistentVolumeClaim", claim) is None:
            yield f"there is no PersistentVolumeClaim {claim!r}"
    configs = {
        each.name: frozenset(each.document.get("data") or ()) for each in rendering.of("ConfigMap")
    }
    yield from _key_faults("Secret", _secret_keys(pod), secrets)
    yield from _key_faults("ConfigMap", _config_keys(pod), configs)
    yield from _probe_faults(pod)


def _key_faults(
    kind: str, read: Iterable[tuple[str, str | None]], there: Mapping[str, frozenset[str]]
) -> Iterator[str]:
    for name, key in read:
        if name not in there:
            yield f"nobody makes the {kind} {name!r}"
        elif key is not None and key not in there[name]:
            yield f"the {kind} {name!r} has no key {key!r}"


def _probe_faults(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        own = Pod({}, {"containers": [container]})
        for probe in _PROBES:
            for way in ("httpGet", "tcpSocket", "grpc"):
                port = at(container, probe, way, "port")
                if port is not None and own.port(port) is None:
                    yield f"{container['name']}: {probe} asks at {port!r}, which it has not"


def _secret_keys(pod: Pod) -> Iterator[tuple[str, str | None]]:
    yield from _keys_read(pod, "secretRef", "secretKeyRef", "secret", "secretName")
    for secret in pod.spec.get("imagePullSecrets") or ():
        yield secret["name"], None


def _config_keys(pod: Pod) -> Iterator[tuple[str, str | None]]:
    yield from _keys_read(pod, "configMapRef", "configMapKeyRef", "configMap", "name")


def _keys_read(
    pod: Pod, whole: str, single: str, volume_kind: str, volume_name: str
) -> Iterator[tuple[str, str | None]]:
    """Give what is read of Secrets, or of ConfigMaps: the name, and the key or None for all."""
    for container in pod.containers:
        for source in container.get("envFrom") or ():
            if whole in source:
                yield source[whole]["name"], None
        for variable in container.get("env") or ():
            reference: Any = at(variable, "valueFrom", single)
            if reference is not None:
                yield reference["name"], reference["key"]
    for volume in pod.spec.get("volumes") or ():
        source = volume.get(volume_kind)
        if source is None:
            continue
        items = source.get("items")
        if items is None:
            yield source[volume_name], None
        for item in items or ():
            yield source[volume_name], item["key"]


_CHECKS: Mapping[str, Callable[[Rendering, Resource], Iterator[str]]] = {
    "Deployment": _selector_faults,
    "StatefulSet": _stateful_faults,
    "Service": _service_faults,
    "HorizontalPodAutoscaler": _autoscaler_faults,
    "PodDisruptionBudget": _budget_faults,
    "Ingress": _ingress_faults,
    "PodMonitor": _monitor_faults,
    "Certificate": _certificate_faults,
    "Issuer": _issuer_faults,
}
