"""What NetworkPolicies let through, and whether each of their words means something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from k8s.resources import Pod, Rendering, Resource, matches

# Label that says which part of Arcana a pod is.
COMPONENT = "app.kubernetes.io/component"


def network_faults(rendering: Rendering) -> list[str]:
    """Return selectors that match nothing, ports that nobody has, and pods without a policy."""
    faults = []
    for policy in rendering.of("NetworkPolicy"):
        faults += [f"{policy}: {fault}" for fault in _faults(rendering, policy)]
    denied = [
        policy.spec.get("policyTypes")
        for policy in rendering.of("NetworkPolicy")
        if policy.spec.get("podSelector") == {} and not policy.spec.keys() & {"ingress", "egress"}
    ]
    if not any(set(types or ()) == {"Ingress", "Egress"} for types in denied):
        faults.append("NetworkPolicy: none denies everything that no other allows")
    return faults


def hops(rendering: Rendering) -> set[tuple[str, str, int]]:
    """Return who may call whom in the namespace: components, and the number of the port.

    Both sides' policies must allow it. Whoever is not of this namespace is not told of.
    """
    out, into = set(), set()
    for policy in rendering.of("NetworkPolicy"):
        own = rendering.pods(policy.spec["podSelector"])
        for rule in policy.spec.get("egress") or ():
            out |= {
                (_component(caller), _component(called), number)
                for caller in own
                for called in _own_peers(rendering, rule.get("to"))
                for number in _numbers(rule, called)
            }
        for rule in policy.spec.get("ingress") or ():
            into |= {
                (_component(caller), _component(called), number)
                for called in own
                for caller in _own_peers(rendering, rule.get("from"))
                for number in _numbers(rule, called)
            }
    return out & into


def open_to_namespaces(rendering: Rendering) -> set[tuple[str, str, int]]:
    """Return which other namespaces may call whom: name of the namespace, component, port.

    A namespace that is not told by its name is `?`.
    """
    return {
        (_namespace(peer), _component(called), number)
        for policy in rendering.of("NetworkPolicy")
        for rule in policy.spec.get("ingress") or ()
        for peer in rule.get("from") or ()
        if "namespaceSelector" in peer
        for called in rendering.pods(policy.spec["podSelector"])
        for number in _numbers(rule, called)
    }


def reached_namespaces(rendering: Rendering) -> set[tuple[str, str, int]]:
    """Return who may call other namespaces: component, name of the namespace, port."""
    return {
        (_component(caller), _namespace(peer), int(port["port"]))
        for policy in rendering.of("NetworkPolicy")
        for rule in policy.spec.get("egress") or ()
        for peer in rule.get("to") or ()
        if "namespaceSelector" in peer
        for caller in rendering.pods(policy.spec["podSelector"])
        for port in rule.get("ports") or ()
    }


def reached_outside(rendering: Rendering) -> set[tuple[str, int]]:
    """Return which components may call addresses outside of the cluster, and at which port."""
    return {
        (_component(caller), int(port["port"]))
        for policy in rendering.of("NetworkPolicy")
        for rule in policy.spec.get("egress") or ()
        for peer in rule.get("to") or ()
        for port in rule.get("ports") or ()
        for caller in rendering.pods(policy.spec["podSelector"])
        if "ipBlock" in peer
    }


def _faults(rendering: Rendering, policy: Resource) -> Iterator[str]:
    own = rendering.pods(policy.spec["podSelector"])
    if not own:
        yield "its podSelector matches no pod"
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        rules = policy.spec.get(direction) or ()
        if rules and direction.capitalize() not in policy.spec.get("policyTypes", ()):
            yield f"it has rules for {direction} and is of another type"
        for rule in rules:
            if not rule.get(peers):
                yield f"a rule for {direction} names nobody, which means everybody"
            if not rule.get("ports"):
                yield f"a rule for {direction} names no port, which means all"
            for peer in rule.get(peers) or ():
                yield from _peer_faults(rendering, rule, peer, own, is_ingress=peers == "from")


def _peer_faults(
    rendering: Rendering,
    rule: Mapping[str, Any],
    peer: Mapping[str, Any],
    own: Sequence[Pod],
    *,
    is_ingress: bool,
) -> Iterator[str]:
    is_of_namespace = "ipBlock" not in peer and "namespaceSelector" not in peer
    others = rendering.pods(peer.get("podSelector")) if is_of_namespace else []
    if is_of_namespace and not others:
        yield f"{peer} matches no pod"
    if peer.get("namespaceSelector") == {}:
        yield "a namespaceSelector that is empty means all namespaces"
    if "ipBlock" in peer:
        cidr = peer["ipBlock"]["cidr"]
        if is_ingress:
            yield f"{cidr}: whoever calls is a pod, and is told by its labels"
        elif ip_network(cidr).prefixlen == 0:
            yield f"{cidr} means every address"
    called = own if is_ingress else others
    for port in rule.get("ports") or ():
        wanted = port["port"]
        if any(pod.port(wanted) is None for pod in called):
            yield f"a called pod has no port {wanted!r}"
        if not called and not isinstance(wanted, int):
            yield f"a port outside must be a number, and is {wanted!r}"


def _own_peers(rendering: Rendering, peers: Sequence[Mapping[str, Any]] | None) -> list[Pod]:
    selectors = [
        peer["podSelector"]
        for peer in peers or ()
        if "podSelector" in peer and "namespaceSelector" not in peer
    ]
    return [
        pod
        for _, pod in rendering.workloads
        if any(matches(selector, pod.labels) for selector in selectors)
    ]


def _numbers(rule: Mapping[str, Any], called: Pod) -> list[int]:
    found = (called.port(port["port"]) for port in rule.get("ports") or ())
    return [number for number in found if number is not None]


def _namespace(peer: Mapping[str, Any]) -> str:
    labels = peer["namespaceSelector"].get("matchLabels") or {}
    return str(labels.get("kubernetes.io/metadata.name", "?"))


def _component(pod: Pod) -> str:
    return pod.labels.get(COMPONENT, "?")
