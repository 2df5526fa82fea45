"""Who can reach whom: by the names that Docker tells, and past them by address."""

from __future__ import annotations

import json
import socket

import pytest

from tests.system.composed import Composed

MYSQL, REDIS, SERVICE, REPOSITORY = 3306, 6379, 50051, 50052
# Run inside a container: which of these host:port can be connected to.
REACHED = """
import json, socket, sys
def is_open(target):
    host, port = target.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 2).close()
    except OSError:
        return False
    return True
print(json.dumps([target for target in sys.argv[1:] if is_open(target)]))
"""


def _reached(system: Composed, service: str, targets: list[str]) -> set[str]:
    [container, *_] = system.containers(service)
    code, output = container.exec_run(["python", "-c", REACHED, *targets])
    assert code == 0, output
    return set(json.loads(output))


def _stores(system: Composed) -> list[str]:
    return [
        f"mysql:{MYSQL}",
        f"redis:{REDIS}",
        f"{system.address('mysql', 'stores')}:{MYSQL}",
        f"{system.address('redis', 'broker')}:{REDIS}",
    ]


@pytest.mark.parametrize("service", ["controller", "service"])
def test_neither_mysql_nor_redis_can_be_reached_from_above_the_repository_tier(
    system: Composed, service: str
) -> None:
    assert _reached(system, service, _stores(system)) == set()


def test_the_repository_tier_reaches_both_stores(system: Composed) -> None:
    # Otherwise the test above would show nothing but a typing error.
    targets = _stores(system)
    assert _reached(system, "repository", targets) == set(targets)


def test_the_controller_reaches_the_service_tier_and_not_the_repository_tier(
    system: Composed,
) -> None:
    there = [f"service:{SERVICE}", f"{system.address('service', 'app')}:{SERVICE}"]
    refused = [
        f"repository:{REPOSITORY}",
        *(
            f"{system.address('repository', network)}:{REPOSITORY}"
            for network in ("data-rpc", "stores", "broker")
        ),
    ]
    assert _reached(system, "controller", there + refused) == set(there)


def test_a_worker_reaches_the_broker_and_the_service_tier_only(system: Composed) -> None:
    there = [f"service:{SERVICE}", f"redis:{REDIS}"]
    refused = [
        f"{system.address('mysql', 'stores')}:{MYSQL}",
        f"{system.address('repository', 'data-rpc')}:{REPOSITORY}",
    ]
    with system.one_more("worker"):
        assert _reached(system, "worker", [*there, *refused]) == set(there)


def test_no_tier_has_a_way_out(system: Composed) -> None:
    with system.stranger() as outside:
        # It listens; for this machine there is nothing in between.
        socket.create_connection((outside, 8000), 5).close()
        for service in ("controller", "service", "repository"):
            assert _reached(system, service, [f"{outside}:8000"]) == set(), service


def test_only_the_edge_is_published_and_only_to_this_machine(system: Composed) -> None:
    published = {
        (service, port, binding["HostIp"])
        for service in ("controller", "service", "repository", "mysql", "redis")
        for container in system.containers(service)
        for port, bindings in container.ports.items()
        for binding in bindings or ()
    }
    assert published == {
        ("controller", "5000/tcp", "127.0.0.1"),
        ("controller", "50050/tcp", "127.0.0.1"),
    }
