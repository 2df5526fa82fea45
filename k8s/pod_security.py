"""The Pod Security Standards' profile "restricted", and what this project asks of pods besides.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from k8s.resources import Pod, Rendering, at

_VOLUMES = frozenset(
    {
        "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
        "projected", "secret",
    }
)  # fmt: skip
_SECCOMP = ("RuntimeDefault", "Localhost")
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem",
    }
)  # fmt: skip
_SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def restricted_faults(rendering: Rendering) -> list[str]:
    """Return what a namespace that enforces "restricted" would refuse."""
    return [
        f"{resource}: {fault}"
        for resource, pod in rendering.workloads
        for fault in (*_faults_of_pod(pod), *_faults_of_containers(pod))
    ]


def hardening_faults(rendering: Rendering) -> list[str]:
    """Return what the profile allows and this project does not."""
    return [
        f"{resource}: {fault}"
        for resource, pod in rendering.workloads
        for fault in _own_faults(rendering, pod)
    ]


def _faults_of_pod(pod: Pod) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(field):
            yield f"{field} is not allowed"
    for volume in pod.spec.get("volumes") or ():
        for kind in sorted(set(volume) - {"name"} - _VOLUMES):
            yield f"volume {volume['name']}: {kind} is not allowed"
    for sysctl in at(pod.spec, "securityContext", "sysctls") or ():
        if sysctl["name"] not in _SYSCTLS:
            yield f"sysctl {sysctl['name']} is not allowed"
    yield from _context_faults("the pod", pod.spec.get("securityContext") or {})


def _faults_of_containers(pod: Pod) -> Iterator[str]:
    of_pod = pod.spec.get("securityContext") or {}
    for container in pod.containers:
        name, own = container["name"], container.get("securityContext") or {}
        yield from _context_faults(name, own)
        yield from (f"{name}: {fault}" for fault in _missing({**of_pod, **own}, own))
        yield from (f"{name}: {fault}" for fault in _granted(own))
        if any(port.get("hostPort") for port in container.get("ports") or ()):
            yield f"{name}: hostPort is not allowed"
        for host in _probed_hosts(container):
            yield f"{name}: a probe or hook of another host ({host}) is not allowed"


def _missing(context: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    """Give what must be said, of the container itself or by the pod for it."""
    if context.get("runAsNonRoot") is not True:
        yield "runAsNonRoot must be true"
    if at(context, "seccompProfile", "type") not in _SECCOMP:
        yield "seccompProfile must be RuntimeDefault or Localhost"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation must be false"
    if "ALL" not in (at(own, "capabilities", "drop") or ()):
        yield "capabilities must drop ALL"


def _granted(own: Mapping[str, Any]) -> Iterator[str]:
    """Give what a container may not be given."""
    for capability in at(own, "capabilities", "add") or ():
        if capability != "NET_BIND_SERVICE":
            yield f"capability {capability} is not allowed"
    if own.get("privileged"):
        yield "privileged is not allowed"
    if own.get("procMount", "Default") != "Default":
        yield "procMount must be Default"


def _context_faults(name: str, context: Mapping[str, Any]) -> Iterator[str]:
    """Give what neither a pod nor a container may ask for."""
    if context.get("runAsUser") == 0:
        yield f"{name}: runAsUser must not be 0"
    if context.get("runAsNonRoot") is False:
        yield f"{name}: runAsNonRoot must be true"
    if at(context, "windowsOptions", "hostProcess"):
        yield f"{name}: hostProcess is not allowed"
    for field in ("seccompProfile", "appArmorProfile"):
        if at(context, field, "type") == "Unconfined":
            yield f"{name}: {field} must not be Unconfined"
    options = context.get("seLinuxOptions") or {}
    if options.get("type", "") not in _SELINUX_TYPES or options.get("user") or options.get("role"):
        yield f"{name}: seLinuxOptions are not allowed"


def _probed_hosts(container: Mapping[str, Any]) -> Iterator[str]:
    asked = [container.get(probe) for probe in _PROBES]
    asked += [at(container, "lifecycle", hook) for hook in ("preStop", "postStart")]
    for each in asked:
        for way in ("httpGet", "tcpSocket"):
            if host := at(each, way, "host"):
                yield str(host)


def _own_faults(rendering: Rendering, pod: Pod) -> Iterator[str]:
    account = rendering.find("ServiceAccount", pod.spec.get("serviceAccountName", "default"))
    if pod.spec.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken must be false"
    if account is not None and account.document.get("automountServiceAccountToken") is not False:
        yield f"{account}: automountServiceAccountToken must be false"
    if pod.spec.get("enableServiceLinks") is not False:
        yield "enableServiceLinks must be false: names of Services would become variables"
    if not at(pod.spec, "securityContext", "runAsUser"):
        yield "runAsUser must be a number, for an image may name its user"
    for volume in pod.spec.get("volumes") or ():
        if "emptyDir" in volume and not at(volume, "emptyDir", "sizeLimit"):
            yield f"volume {volume['name']}: emptyDir must have a sizeLimit"
    for container in pod.containers:
        yield from _own_container_faults(container)


def _own_container_faults(container: Mapping[str, Any]) -> Iterator[str]:
    name = container["name"]
    if at(container, "securityContext", "readOnlyRootFilesystem") is not True:
        yield f"{name}: readOnlyRootFilesystem must be true"
    for kind in ("requests", "limits"):
        given = at(container, "resources", kind) or {}
        for resource in ("cpu", "memory", "ephemeral-storage"):
            if resource not in given:
                yield f"{name}: {kind} must name {resource}"
