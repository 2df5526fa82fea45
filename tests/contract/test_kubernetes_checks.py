"""Each check of the manifests finds the fault that it is there for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from k8s.checks import faults_of
from k8s.resources import Rendering, matches
from k8s.wellformed import quantity
from tests.contract.manifests import rendered

Spoil = Callable[[dict[str, Any]], object]


def container(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = pod_spec(document)["containers"][0]
    return found


def pod_spec(document: dict[str, Any]) -> dict[str, Any]:
    spec = document["spec"]
    if "jobTemplate" in spec:
        spec = spec["jobTemplate"]["spec"]
    found: dict[str, Any] = spec["template"]["spec"]
    return found


def put(*path: str | int, value: object) -> Spoil:
    """Return what puts a value at a path of a document."""

    def spoil(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return spoil


def in_container(*path: str | int, value: object) -> Spoil:
    return lambda document: put(*path, value=value)(container(document))


def in_pod(*path: str | int, value: object) -> Spoil:
    return lambda document: put(*path, value=value)(pod_spec(document))


# Kind and name of what is spoilt in the overlay `production`, how, and what has to be said of it.
FAULTS: list[tuple[str, str, Spoil, str]] = [
    # The form.
    ("Deployment", "service", put("spec", "replica", value=2), "'replica' was unexpected"),
    ("Deployment", "service", put("apiVersion", value="apps/v1beta1"), "there is no kind"),
    ("Certificate", "worker", put("spec", "dnsName", value=["x"]), "has no field 'dnsName'"),
    ("Service", "service", put("metadata", "name", value="1service"), "its name is malformed"),
    ("Deployment", "service", put("metadata", "name", value="s" * 47), "more than 46 characters"),
    ("Deployment", "service", put("metadata", "labels", "a/b/c", value="x"), "label 'a/b/c' is"),
    ("Deployment", "service", put("metadata", "labels", "a", value="-x"), "cannot have the value"),
    ("Deployment", "service", put("metadata", "namespace", value="other"), "no namespace 'other'"),
    ("Service", "repository", put("metadata", "name", value="service"), "is there 2 times"),
    ("HorizontalPodAutoscaler", "service", put("spec", "minReplicas", value=11), "more than maxR"),
    ("PodDisruptionBudget", "service", put("spec", "minAvailable", value=1), "exactly one of"),
    ("CronJob", "create-admin", put("spec", "schedule", value="@always"), "has not five fields"),
    ("Deployment", "service", in_container("name", value="Service"), "its name is malformed"),
    (
        "Deployment",
        "service",
        in_container("image", value="r:5000/arcana"),
        "r:5000/arcana must say",
    ),
    (
        "Deployment",
        "service",
        in_container("image", value="arcana:latest"),
        "arcana:latest must say",
    ),
    ("Deployment", "service", in_container("ports", 0, "name", value="GRPC"), "port name 'GRPC'"),
    ("Deployment", "service", in_container("ports", 0, "containerPort", value=0), "no port 0"),
    ("Deployment", "service", in_container("env", 0, "name", value="A B"), "'A B' is malformed"),
    ("Deployment", "service", in_container("env", 0, "name", value="TLS_CA_FILE"), "there twice"),
    (
        "Deployment",
        "service",
        in_container("volumeMounts", 0, "name", value="x"),
        "'x' does not ex",
    ),
    (
        "Deployment",
        "service",
        in_container("resources", "limits", "memory", value="1 GB"),
        "'1 GB' is no quantity",
    ),
    (
        "Deployment",
        "service",
        in_container("resources", "limits", "memory", value="64Mi"),
        "requests more memory than its limit",
    ),
    (
        "Deployment",
        "worker",
        in_pod("volumes", 0, "emptyDir", "sizeLimit", value="much"),
        "'much' is no quantity",
    ),
    # What leads nowhere.
    (
        "Deployment",
        "service",
        put("spec", "selector", "matchLabels", value={"a": "b"}),
        "its selector misses its own pods",
    ),
    (
        "Deployment",
        "service",
        put("spec", "selector", "matchLabels", value={"app.kubernetes.io/name": "arcana"}),
        "its selector takes Deployment/controller",
    ),
    ("Deployment", "service", put("spec", "selector", value={}), "its selector names no label"),
    (
        "Deployment",
        "service",
        in_pod("serviceAccountName", value="root"),
        "no ServiceAccount 'root'",
    ),
    (
        "Deployment",
        "service",
        in_pod("topologySpreadConstraints", 0, "labelSelector", value={}),
        "is not its own pods",
    ),
    ("Deployment", "service", in_container("livenessProbe", "grpc", "port", value=1), "asks at 1"),
    (
        "Deployment",
        "service",
        in_container("envFrom", 0, "configMapRef", "name", value="no"),
        "nobody makes the ConfigMap 'no'",
    ),
    (
        "Deployment",
        "service",
        in_container(
            "env",
            0,
            value={"name": "X", "valueFrom": {"secretKeyRef": {"name": "admin", "key": "no"}}},
        ),
        "the Secret 'admin' has no key 'no'",
    ),
    (
        "Deployment",
        "service",
        in_pod("imagePullSecrets", value=[{"name": "registry"}]),
        "nobody makes the Secret 'registry'",
    ),
    (
        "Deployment",
        "controller",
        in_pod("volumes", 0, value={"name": "tmp", "persistentVolumeClaim": {"claimName": "no"}}),
        "there is no PersistentVolumeClaim 'no'",
    ),
    (
        "Deployment",
        "repository",
        in_pod("volumes", value=[]),
        "Secret/blobs: nothing reads it",
    ),
    (
        "Service",
        "service",
        put("spec", "selector", value={"app.kubernetes.io/component": "servise"}),
        "its selector matches no pod",
    ),
    (
        "Service",
        "service",
        put("spec", "ports", 0, "targetPort", value="gprc"),
        "no container has the port 'gprc'",
    ),
    ("Service", "service", put("spec", "ports", 0, "port", value=80), "80 is not the container's"),
    (
        "HorizontalPodAutoscaler",
        "service",
        put("spec", "scaleTargetRef", "name", value="servise"),
        "there is no Deployment 'servise'",
    ),
    ("Deployment", "service", put("spec", "replicas", value=2), "each apply would undo"),
    (
        "HorizontalPodAutoscaler",
        "service",
        put("spec", "metrics", 0, "resource", "name", value="gpu"),
        "a share of gpu cannot be told",
    ),
    (
        "HorizontalPodAutoscaler",
        "service",
        put("spec", "metrics", 1, "pods", "metric", "name", value="arcana_jobs"),
        "no rule of the adapter serves 'arcana_jobs' for the type Pods",
    ),
    (
        "HorizontalPodAutoscaler",
        "worker",
        put("spec", "metrics", 1, "external", "metric", "name", value="arcana_job"),
        "no rule of the adapter serves 'arcana_job' for the type External",
    ),
    (
        "HorizontalPodAutoscaler",
        "worker",
        put("spec", "metrics", 1, "type", value="Object"),
        "no rule of the adapter is for metrics of the type Object",
    ),
    (
        "PodDisruptionBudget",
        "service",
        put("spec", "selector", value={}),
        "must match the pods of one workload",
    ),
    ("Ingress", "edge", put("spec", "tls", value=[]), "host 'arcana.example.org' has no TLS"),
    (
        "Ingress",
        "edge",
        put(
            "spec",
            "rules",
            0,
            "http",
            "paths",
            0,
            "backend",
            "service",
            "port",
            value={"number": 1},
        ),
        "there is no service 'controller' with the port",
    ),
    (
        "PodMonitor",
        "arcana",
        put("spec", "podMetricsEndpoints", 0, "port", value="metric"),
        "a pod has no port 'metric'",
    ),
    (
        "PodMonitor",
        "arcana",
        put("spec", "selector", value={"matchLabels": {"a": "b"}}),
        "its selector matches no pod",
    ),
    (
        "Certificate",
        "worker",
        put("spec", "issuerRef", "name", value="x"),
        "there is no issuer 'x'",
    ),
    ("Issuer", "tiers", put("spec", "ca", "secretName", value="x"), "nobody makes the Secret 'x'"),
    # Who may call whom.
    (
        "NetworkPolicy",
        "service",
        put("spec", "podSelector", value={"matchLabels": {"a": "b"}}),
        "its podSelector matches no pod",
    ),
    (
        "NetworkPolicy",
        "service",
        put("spec", "egress", 0, "to", 0, "podSelector", value={"matchLabels": {"a": "b"}}),
        "matches no pod",
    ),
    (
        "NetworkPolicy",
        "service",
        put("spec", "ingress", 0, "ports", 0, "port", value="http"),
        "a called pod has no port 'http'",
    ),
    (
        "NetworkPolicy",
        "to-database",
        put("spec", "egress", 0, "ports", 0, "port", value="mysql"),
        "a port outside must be a number",
    ),
    ("NetworkPolicy", "service", put("spec", "egress", 0, "to", value=[]), "means everybody"),
    ("NetworkPolicy", "service", put("spec", "egress", 0, "ports", value=[]), "means all"),
    (
        "NetworkPolicy",
        "service",
        put("spec", "policyTypes", value=["Egress"]),
        "is of another type",
    ),
    (
        "NetworkPolicy",
        "controller",
        put("spec", "ingress", 0, "from", 0, "namespaceSelector", value={}),
        "means all namespaces",
    ),
    (
        "NetworkPolicy",
        "to-database",
        put("spec", "egress", 0, "to", 0, "ipBlock", "cidr", value="0.0.0.0/0"),
        "means every address",
    ),
    (
        "NetworkPolicy",
        "controller",
        put("spec", "ingress", 0, "from", value=[{"ipBlock": {"cidr": "192.0.2.0/24"}}]),
        "is told by its labels",
    ),
    (
        "NetworkPolicy",
        "deny-all",
        put("spec", "policyTypes", value=["Ingress"]),
        "none denies everything",
    ),
    # What "restricted" refuses.
    ("Deployment", "service", in_pod("hostNetwork", value=True), "hostNetwork is not allowed"),
    (
        "Deployment",
        "service",
        in_pod("volumes", 0, value={"name": "tmp", "hostPath": {"path": "/"}}),
        "hostPath is not allowed",
    ),
    (
        "Deployment",
        "service",
        in_pod("securityContext", "sysctls", value=[{"name": "kernel.msgmax", "value": "1"}]),
        "sysctl kernel.msgmax is not allowed",
    ),
    ("Deployment", "service", in_pod("securityContext", "runAsUser", value=0), "must not be 0"),
    (
        "CronJob",
        "create-admin",
        in_pod("securityContext", "runAsNonRoot", value=False),
        "runAsNonRoot must be true",
    ),
    ("Job", "migrate", in_pod("securityContext", value={}), "seccompProfile must be"),
    ("Job", "migrate", in_pod("securityContext", value={}), "runAsUser must be a number"),
    (
        "Deployment",
        "service",
        in_pod("securityContext", "seccompProfile", "type", value="Unconfined"),
        "seccompProfile must not be Unconfined",
    ),
    (
        "Deployment",
        "service",
        in_pod("securityContext", "seLinuxOptions", value={"type": "spc_t"}),
        "seLinuxOptions are not allowed",
    ),
    (
        "Deployment",
        "service",
        in_pod("securityContext", "windowsOptions", value={"hostProcess": True}),
        "hostProcess is not allowed",
    ),
    (
        "Deployment",
        "service",
        in_container("securityContext", "allowPrivilegeEscalation", value=True),
        "allowPrivilegeEscalation must be false",
    ),
    (
        "Deployment",
        "service",
        in_container("securityContext", "capabilities", value={"drop": ["NET_RAW"]}),
        "capabilities must drop ALL",
    ),
    (
        "Deployment",
        "service",
        in_container("securityContext", "capabilities", "add", value=["SYS_ADMIN"]),
        "capability SYS_ADMIN is not allowed",
    ),
    (
        "Deployment",
        "service",
        in_container("securityContext", "privileged", value=True),
        "privileged is not allowed",
    ),
    (
        "Deployment",
        "service",
        in_container("securityContext", "procMount", value="Unmasked"),
        "procMount must be Default",
    ),
    ("Deployment", "service", in_container("ports", 0, "hostPort", value=1), "hostPort is not"),
    (
        "Deployment",
        "controller",
        in_container("livenessProbe", "httpGet", "host", value="10.0.0.1"),
        "a probe or hook of another host (10.0.0.1)",
    ),
    # What this project asks for besides.
    (
        "Deployment",
        "service",
        in_pod("automountServiceAccountToken", value=True),
        "automountServiceAccountToken must be false",
    ),
    (
        "ServiceAccount",
        "service",
        put("automountServiceAccountToken", value=True),
        "ServiceAccount/service: automountServiceAccountToken must be false",
    ),
    ("Deployment", "service", in_pod("enableServiceLinks", value=True), "enableServiceLinks must"),
    (
        "Deployment",
        "service",
        in_pod("volumes", 0, "emptyDir", value={}),
        "emptyDir must have a sizeLimit",
    ),
    (
        "Deployment",
        "service",
        in_container("securityContext", "readOnlyRootFilesystem", value=False),
        "readOnlyRootFilesystem must be true",
    ),
    (
        "Deployment",
        "service",
        in_container("resources", "limits", value={"cpu": "2", "memory": "1Gi"}),
        "limits must name ephemeral-storage",
    ),
]


@pytest.mark.parametrize(
    ("kind", "name", "spoil", "said"),
    [pytest.param(*row, id=f"{row[0]}: {row[3]}") for row in FAULTS],
)
def test_a_fault_is_found(kind: str, name: str, spoil: Spoil, said: str) -> None:
    assert [each for each in faults_after("production", kind, name, spoil) if said in each] != []


def test_a_stateful_set_needs_a_headless_service() -> None:
    spoil = put("spec", "serviceName", value="nobody")
    faults = faults_after("dev", "StatefulSet", "redis", spoil)
    assert faults == ["StatefulSet/redis: there is no headless Service 'nobody'"]


def test_a_claim_for_storage_is_measured_in_quantities() -> None:
    spoil = put("spec", "resources", "requests", "storage", value="2 GB")
    faults = faults_after("dev", "PersistentVolumeClaim", "files", spoil)
    assert "PersistentVolumeClaim/files: storage storage: '2 GB' is no quantity" in faults


@pytest.mark.parametrize(
    ("text", "number"),
    [("500m", "0.5"), ("2", "2"), ("1.5Gi", "1610612736"), ("3k", "3000"), (4, "4")],
)
def test_quantities_are_read_as_kubernetes_reads_them(text: str | int, number: str) -> None:
    assert str(quantity(text).normalize()) == str(quantity(number).normalize())


@pytest.mark.parametrize("text", ["", "m", "1GB", "-1", "1 Gi", "0x10"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantity(text)


@pytest.mark.parametrize(
    ("expression", "is_match"),
    [
        ({"key": "tier", "operator": "In", "values": ["a", "b"]}, True),
        ({"key": "tier", "operator": "In", "values": ["b"]}, False),
        ({"key": "tier", "operator": "NotIn", "values": ["b"]}, True),
        ({"key": "other", "operator": "NotIn", "values": ["b"]}, True),
        ({"key": "tier", "operator": "Exists"}, True),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "other", "operator": "DoesNotExist"}, True),
    ],
)
def test_selectors_match_as_in_kubernetes(expression: dict[str, Any], is_match: bool) -> None:
    assert matches({"matchExpressions": [expression]}, {"tier": "a"}) is is_match


def test_an_operator_that_does_not_exist_is_no_match_but_an_error() -> None:
    expression = {"key": "tier", "operator": "Like", "values": ["a"]}
    with pytest.raises(ValueError, match="'Like' is no operator"):
        matches({"matchExpressions": [expression]}, {})


def faults_after(overlay: str, kind: str, name: str, spoil: Spoil) -> list[str]:
    """Return what is said of an overlay once one of its resources is spoilt."""
    documents = [copy.deepcopy(dict(each.document)) for each in rendered(overlay)]
    [document] = [
        each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name)
    ]
    spoil(document)
    return faults_of(Rendering(documents), overlay)
