"""Who is let in between the tiers: containers with a wrong certificate, or none, are refused."""

from __future__ import annotations

import json
import re

import pytest

from tests.stores.waiting import eventually
from tests.system.composed import Composed

SERVICE, REPOSITORY = "service:50051", "repository:50052"
LIST_USERS = {
    SERVICE: "/arcana.service.v1.UserService/ListUsers",
    REPOSITORY: "/arcana.repository.v1.UserRepository/ListUsers",
}
# Calls the method of a target as the peer whose certificate is there, and prints how that ends.
CALL = """
import json, pathlib, sys
import grpc

target, method, kind = sys.argv[1:]
folder = pathlib.Path("/certs")
def read(name):
    return (folder / name).read_bytes()
if kind == "stranger":
    from launcher.certificates import make_certificates
    make_certificates(pathlib.Path("/tmp/other"))
    root = read("ca.crt")
    folder = pathlib.Path("/tmp/other/service")
    credentials = grpc.ssl_channel_credentials(root, read("tls.key"), read("tls.crt"))
elif kind == "anonymous":
    credentials = grpc.ssl_channel_credentials(read("ca.crt"))
else:
    credentials = grpc.ssl_channel_credentials(read("ca.crt"), read("tls.key"), read("tls.crt"))
plain = kind == "plaintext"
channel = grpc.insecure_channel(target) if plain else grpc.secure_channel(target, credentials)
try:
    channel.unary_unary(method)(b"", timeout=5)
    print(json.dumps("OK"))
except grpc.RpcError as error:
    print(json.dumps(error.code().name))
"""
# Prints the metrics of the container that it runs in.
METRICS = (
    "import urllib.request; "
    "print(urllib.request.urlopen('http://127.0.0.1:9464/metrics', timeout=5).read().decode())"
)
COUNTED = re.compile(r'^arcana_peers_refused_total\{.*reason="(\w+)".*\} (\S+)$', re.MULTILINE)


def _call(system: Composed, target: str, peer: str, kind: str = "peer") -> str:
    """Call from a new container in the target's network; give the name of the status."""
    network = "app" if target == SERVICE else "data-rpc"
    output = system.run_once(
        ["python", "-c", CALL, target, LIST_USERS[target], kind],
        network=system.network(network),
        volumes={system.network(f"certs-{peer}"): {"bind": "/certs", "mode": "ro"}},
    )
    return str(json.loads(output.splitlines()[-1]))


def _events(system: Composed, tier: str, event: str) -> list[dict[str, object]]:
    assert tier in {"service", "repository"}
    return [line for line in system.log_lines(tier) if line.get("event") == event]  # type: ignore[arg-type]  # one of the two


def _handshakes(system: Composed, tier: str) -> list[dict[str, object]]:
    found = _events(system, tier, "peer_refused")
    return [line for line in found if line["reason"] == "handshake"]


def _refused(system: Composed, tier: str, reason: str) -> float:
    """Give how many refusals for this reason the containers of a tier have counted."""
    found = 0.0
    for container in system.containers(tier):
        code, output = container.exec_run(["python", "-c", METRICS])
        assert code == 0, output
        found += sum(float(n) for name, n in COUNTED.findall(output.decode()) if name == reason)
    return found


@pytest.mark.parametrize(("target", "peer"), [(SERVICE, "controller"), (REPOSITORY, "service")])
def test_who_is_on_the_list_is_let_in(system: Composed, target: str, peer: str) -> None:
    # Without an actor, which is no business of the peer's, so the call itself may be refused.
    assert _call(system, target, peer) not in {"UNAVAILABLE", "PERMISSION_DENIED"}


@pytest.mark.parametrize("peer", ["controller", "worker"])
def test_who_has_no_business_with_the_repository_tier_is_refused_and_it_says_so(
    system: Composed, peer: str
) -> None:
    before = len(_events(system, "repository", "peer_refused"))
    counted = _refused(system, "repository", "peer")
    assert _call(system, REPOSITORY, peer) == "PERMISSION_DENIED"
    assert _refused(system, "repository", "peer") == counted + 1
    told = eventually(lambda: _events(system, "repository", "peer_refused")[before:], 5, "a line")
    assert peer in str(told[0]["peer"])
    assert told[0]["method"] == LIST_USERS[REPOSITORY]


def test_the_repository_tier_is_no_caller_of_the_service_tier(system: Composed) -> None:
    assert _call(system, SERVICE, "repository") == "PERMISSION_DENIED"
    assert _events(system, "service", "peer_refused")


@pytest.mark.parametrize("kind", ["plaintext", "anonymous", "stranger"])
@pytest.mark.parametrize("target", [SERVICE, REPOSITORY])
def test_without_a_certificate_of_our_authority_nobody_gets_past_the_handshake(
    system: Composed, target: str, kind: str
) -> None:
    tier = "service" if target == SERVICE else "repository"
    before = len(_events(system, tier, "rpc"))
    logged, counted = len(_handshakes(system, tier)), _refused(system, tier, "handshake")
    assert _call(system, target, "launcher", kind) == "UNAVAILABLE"
    eventually(lambda: len(_handshakes(system, tier)) > logged, 5, "a line about the handshake")
    assert _refused(system, tier, "handshake") > counted
    refused = LIST_USERS[target]
    assert not [line for line in _events(system, tier, "rpc")[before:] if line["method"] == refused]
