"""What one run of the whole system tells at the ports of its metrics."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from controller_tier import metrics as edge_series
from repository_tier import metrics as store_series
from service_tier import metrics as rule_series
from tests.metering import Scraped, scrape
from tests.stores.waiting import eventually
from tests.system.client import Edge, bearer, expect, new_email, new_password
from tests.system.launcher_process import LauncherProcess
from tests.system.ports import free_ports
from tier_runtime.metrics import series

PROCESSES = ("repository", "service", "controller", "worker")
ADMIN = {"email": "admin@arcana.example", "password": "Admin-Passw0rd-1"}
SETTINGS = {
    "ARCANA_ADMIN_EMAIL": ADMIN["email"],
    "ARCANA_ADMIN_PASSWORD": ADMIN["password"],
    "PASSWORD_HASH_METHOD": "scrypt:1024:8:1",
    "RATE_LIMIT_LOGIN_EMAIL": "3/60",
    "RATE_LIMIT_LOGIN_IP": "1000/60",
    "RATE_LIMIT_REGISTER_IP": "1000/60",
    "WEB_WORKERS": "2",
}
READS, MADE_UP, ORDERS = 120, 50, 3


@dataclass(frozen=True)
class Running:
    """The system, and where each of its processes tells its metrics."""

    edge: Edge
    log: str
    addresses: Mapping[str, str]

    def told(self, process: str) -> Scraped:
        return scrape(self.addresses[process])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run everything once for this module, on the embedded stores."""
    home: Path = tmp_path_factory.mktemp("seeing")
    first = free_ports(range(len(PROCESSES)))
    settings = {
        **SETTINGS,
        "ARCANA_HOME": str(home / "arcana"),
        "METRICS_BIND": f"127.0.0.1:{first}",
    }
    with LauncherProcess(home, ("up",), settings) as launched:
        launched.wait_until_up()
        addresses = {name: f"127.0.0.1:{first + place}" for place, name in enumerate(PROCESSES)}
        # Nobody waits for the worker.
        eventually(lambda: "working" in launched.log)
        with Edge(launched.edge_url) as edge:
            yield Running(edge, launched.log, addresses)


@pytest.fixture(scope="module")
def admin(running: Running) -> dict[str, str]:
    return bearer(running.edge.sign_in(ADMIN["email"], ADMIN["password"]).access)


def test_the_first_lines_say_where_each_process_tells_its_metrics(running: Running) -> None:
    for name, address in running.addresses.items():
        assert f"{name} http://{address}/metrics" in running.log


def test_every_process_says_what_it_is_and_what_it_uses(running: Running) -> None:
    for name in PROCESSES:
        told = running.told(name)
        assert told.values_of(series.BUILD.name, "tier") == {name}
        assert told.total(series.PROCESS_MEMORY.name) > 10_000_000
    # One port for both workers of the edge.
    assert len(running.told("controller").values_of(series.PROCESS_CPU.name, "pid")) == 2


def test_no_request_of_two_workers_is_lost_on_any_hop(
    running: Running, admin: dict[str, str]
) -> None:
    user = expect(running.edge.get("/auth/me", headers=admin), 200)
    url = f"{running.edge.url}/api/v1/users/{user['id']}"
    # A server counts what it has answered a moment after its caller has the answer.
    eventually(lambda: _has_counted_all(running), what="the calls so far to be counted")
    before = {name: running.told(name) for name in PROCESSES}

    def read(_number: int) -> int:
        # A connection each, so that both workers get some.
        return requests.get(url, headers=admin, timeout=15).status_code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(read, range(READS))) == {200}

    def moved(process: str, name: str, /, **labels: str) -> float:
        return running.told(process).total(name, **labels) - before[process].total(name, **labels)

    def expect_moved(count: float, process: str, name: str, /, **labels: str) -> None:
        # What is counted once it is answered may be so a moment after the answer is there.
        eventually(lambda: moved(process, name, **labels) == count, what=f"{process}: {name}")

    expect_moved(READS, "controller", edge_series.REQUESTS.name, status="200")
    expect_moved(READS, "controller", f"{edge_series.REQUEST_SECONDS.name}_count")
    expect_moved(READS, "controller", edge_series.TOKENS.name, outcome="valid")
    expect_moved(READS, "controller", series.READS_ASKED.name, kind="user")
    # What was sent here arrived there: as single reads, and as batches.
    sent = moved("controller", series.READS_SENT.name, kind="user")
    assert 0 < sent <= READS
    for process, name, service in (
        ("controller", series.CALLED.name, "arcana.service.v1.UserService"),
        ("service", series.SERVED.name, "arcana.service.v1.UserService"),
        ("service", series.CALLED.name, "arcana.repository.v1.UserRepository"),
        ("repository", series.SERVED.name, "arcana.repository.v1.UserRepository"),
    ):
        expect_moved(sent, process, name, rpc_service=service, code="OK")
    assert moved("repository", store_series.CACHE.name, kind="user", outcome="hit") > 0
    expect_moved(0, "controller", edge_series.IN_FLIGHT.name)


def _has_counted_all(running: Running) -> bool:
    """Tell whether the repository tier has counted all that the service tier has called it for."""
    service = "arcana.repository.v1.UserRepository"
    called = running.told("service").total(series.CALLED.name, rpc_service=service)
    return called == running.told("repository").total(series.SERVED.name, rpc_service=service)


def test_what_strangers_make_up_is_no_label(running: Running) -> None:
    for _ in range(MADE_UP):
        path = f"/{secrets.token_urlsafe(12)}"
        assert requests.get(f"{running.edge.url}{path}", timeout=15).status_code == 404

    name = edge_series.REQUESTS.name

    def unmatched() -> float:
        return running.told("controller").total(name, route="unmatched", status="404")

    eventually(lambda: unmatched() == MADE_UP, what="all of them to be counted")
    samples = running.told("controller").samples
    assert len([1 for sample, _, _ in samples if sample == name]) < 20


def test_sign_ins_are_counted_by_how_they_ended_and_refused_by_bucket(running: Running) -> None:
    email, password = new_email(), new_password()
    before = running.told("service")
    expect(
        running.edge.post("/auth/register", {"email": email, "name": "A", "password": password}),
        201,
    )
    answers = [
        running.edge.post("/auth/login", {"email": email, "password": given}).status_code
        for given in (password, "Wrong-Passw0rd", password, password)
    ]

    assert answers == [200, 401, 200, 429]
    after, name = running.told("service"), rule_series.LOGINS.name
    for outcome, count in (("success", 2), ("wrong_password", 1)):
        moved = after.total(name, outcome=outcome) - before.total(name, outcome=outcome)
        assert moved == count, outcome
    edge = running.told("controller")
    assert edge.total(edge_series.RATE_LIMITED.name) == 1
    assert edge.total(edge_series.COUNTED_ALONE.name) == 0


def test_orders_are_seen_in_pools_events_and_jobs(running: Running, admin: dict[str, str]) -> None:
    product = expect(
        running.edge.post(
            "/products",
            {"name": "Lamp", "price": "19.99", "stock": 100, "status": "active"},
            headers=admin,
        ),
        201,
    )
    before = {name: running.told(name) for name in PROCESSES}
    for _ in range(ORDERS):
        items = [{"product_id": product["id"], "quantity": 1}]
        expect(running.edge.post("/orders", {"items": items}, headers=admin), 201)

    def moved(process: str, name: str, /, **labels: str) -> float:
        return running.told(process).total(name, **labels) - before[process].total(name, **labels)

    def placed(process: str) -> float:
        return moved(process, series.SERVED.name, rpc_method="PlaceOrder", code="OK")

    eventually(
        lambda: [placed("service"), placed("repository")] == [ORDERS, ORDERS],
        what="all orders to be counted",
    )
    assert moved("repository", f"{store_series.POOL_WAIT.name}_count", pool="write") >= ORDERS
    # Each order is mailed about: by an event, a job, and a worker.
    eventually(lambda: moved("service", rule_series.EVENTS.name, outcome="done") >= ORDERS)
    eventually(
        lambda: (
            moved("service", rule_series.JOB_ATTEMPTS.name, name="send-email", outcome="succeeded")
            >= ORDERS
        )
    )
    eventually(
        lambda: moved("worker", store_series.HANDED_OVER.name, outcome="succeeded") >= ORDERS
    )
    told = running.told("repository")
    assert told.total(store_series.POOL_SIZE.name, pool="write") == 1
    assert told.total(store_series.DEAD.name, group="service") == 0
    assert {store_series.UNPUBLISHED.name, store_series.JOBS_OVERDUE.name} <= told.names()


def test_what_an_rpc_had_left_of_its_deadline_shrinks_from_hop_to_hop(running: Running) -> None:
    name = series.SERVED_DEADLINE_LEFT.name
    means = [
        told.total(f"{name}_sum") / told.total(f"{name}_count")
        for told in (running.told("service"), running.told("repository"))
    ]
    assert all(mean > 0 for mean in means)
    assert running.told("service").total(f"{name}_bucket", le="0.01") == 0
