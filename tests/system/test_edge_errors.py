"""Every error that a row of the contract can answer with is reached at the running edge.

Each answer is also held to the committed OpenAPI document: its status, its code and its schema must
be declared for that row. IDEMPOTENCY_IN_PROGRESS needs a lock held in a real database and is
reached in tests/chaos; INTERNAL_ERROR is the one code that nobody may reach.
"""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.stores import Store, Stores
from tests.stores.waiting import eventually
from tests.system.client import API, Edge, expect_problem, is_outside_base
from tests.system.document import VERBS, committed_document
from tests.system.load import all_at_once
from tests.system.processes import ArcanaProcesses
from tests.system.provocations import MAX_BODY_BYTES, PROVOCATIONS, Edges
from tests.system.relays import Relays
from tests.system.row_table import ROWS
from tests.system.rows import STATUS_OF, Row
from tests.system.wiring import COMPOSED, MONOLITHIC, USUAL, Place, default_wiring
from tests.system.world import World, world_at

REACHED_ELSEWHERE = {"IDEMPOTENCY_IN_PROGRESS", "INTERNAL_ERROR"}
# Nothing can stand between the edge and the service tier of a monolith.
ERRORS_OF_A_HOP = {"SERVICE_UNAVAILABLE", "DEADLINE_EXCEEDED"}
# Only an edge with other settings answers with these, and it must be beside the first one.
ERRORS_OF_FURTHER_EDGES = {"PRECONDITION_REQUIRED", "RATE_LIMITED"}
# What the containers cannot be brought to: nothing stands between them, and there is one edge.
NOT_OF_CONTAINERS = ERRORS_OF_A_HOP | ERRORS_OF_FURTHER_EDGES
ASK_NO_TIER = {"/docs", "/health/live", "/openapi.json"}
DEADLINE_SECONDS = 2.0
LIMITS = (
    "REGISTER_IP",
    "LOGIN_EMAIL",
    "LOGIN_IP",
    "REFRESH_IP",
    "PASSWORD_RESET_EMAIL",
    "PASSWORD_RESET_IP",
    "VERIFY_EMAIL_IP",
    "CHANGE_PASSWORD_USER",
)


def _declared_codes(row: Row) -> dict[str, str]:
    """Give the status of every code that the document declares for a row."""
    document = committed_document()
    path = row.path if is_outside_base(row.path) else API + row.path
    operation = document.find(row.method, path.format(id="some-id", date="2026-11-20"))
    return {code: status for status, codes in document.codes(operation).items() for code in codes}


def _codes(row: Row) -> set[str]:
    """Give every code that a row shall be seen to answer with."""
    codes = (set(row.required_codes()) | _declared_codes(row).keys()) - REACHED_ELSEWHERE
    if default_wiring() == MONOLITHIC:
        codes -= ERRORS_OF_A_HOP
    if default_wiring() == COMPOSED:
        codes -= NOT_OF_CONTAINERS
    # What asks no tier is unavailable only where it waited too long for a thread of the edge,
    # which tests/tier/controller shows.
    return codes - {"SERVICE_UNAVAILABLE"} if row.path in ASK_NO_TIER else codes


PAIRS = [
    pytest.param(row, code, id=f"{row}: {code}") for row in ROWS for code in sorted(_codes(row))
]


@pytest.fixture(scope="module")
def world(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_at(
        Place(default_wiring(), "embedded"),
        stores,
        tmp_path_factory.mktemp("errors"),
        committed_document().check,
        REQUEST_TIMEOUT_SECONDS=str(DEADLINE_SECONDS),
        # One worker, so that whoever sees the edge back after a loss sees all of it.
        WEB_WORKERS="1",
        # As many at the same time as there are rows, when the service tier stands still.
        WEB_THREADS="64",
        # Every row shall be seen to wait for a tier that stands still, not only the first five.
        CIRCUIT_BREAKER_FAILURES="1000000",
    ) as world:
        yield world


def _service_tier(world: World) -> Mapping[str, str]:
    """Give where one more edge finds the service tier; a monolith has it at one address too."""
    return world.arcana.service_urls or {"service": world.arcana.service_url}


@contextlib.contextmanager
def _further_edge(
    folder: Path, store: Store, service: Mapping[str, str], **settings: str
) -> Iterator[Edge]:
    """Run one more edge, on a service tier that is there already, or is not."""
    # In front of a monolith it is an edge alone.
    wiring = USUAL if default_wiring() == MONOLITHIC else default_wiring()
    processes = ArcanaProcesses(folder, store, settings, wiring)
    processes.call_services_at(service)
    try:
        processes.spawn("controller")
        with Edge(processes.edge_url, committed_document().check) as edge:
            eventually(lambda: _is_up(edge), 20, "one more edge")
            yield edge
    finally:
        processes.stop()


def _is_up(edge: Edge) -> bool:
    try:
        return edge.get("/health/live").status_code == 200
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module")
def strict(
    world: World, stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Edge]:
    """Run an edge that requires If-Match and limits hard."""
    settings = {f"RATE_LIMIT_{name}": "1/60" for name in LIMITS}
    settings |= {"REQUIRE_IF_MATCH": "true"}
    folder, store = tmp_path_factory.mktemp("strict"), stores.new_store("embedded")
    with _further_edge(folder, store, _service_tier(world), **settings) as edge:
        yield edge


@pytest.fixture(scope="module")
def before_cold(world: World) -> Iterator[Relays]:
    with Relays(_service_tier(world)) as relays:
        relays.cut()
        yield relays


@pytest.fixture(scope="module")
def cold(
    before_cold: Relays, stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Edge]:
    """Run an edge that has never reached the service tier."""
    # One worker, so that the connection which is seen to stand is the one that is asked over.
    settings = {"REQUEST_TIMEOUT_SECONDS": "1", "WEB_WORKERS": "1"}
    # It is cut off for long, and shall still say how each call ends, not that it makes none.
    settings["CIRCUIT_BREAKER_FAILURES"] = "1000000"
    folder, store = tmp_path_factory.mktemp("cold"), stores.new_store("embedded")
    with _further_edge(folder, store, before_cold.urls, **settings) as edge:
        yield edge


@pytest.fixture(scope="module")
def stalled(world: World) -> dict[str, requests.Response]:
    """Ask all rows at once while the service tier takes calls and answers none."""
    rows = [row for row in ROWS if "DEADLINE_EXCEEDED" in _codes(row) and not row.keeps_its_answer]
    if not rows:
        return {}
    calls = [row.call(world) for row in rows]
    world.between.stall()
    try:
        answers = all_at_once(len(calls), lambda number: calls[number].send(world.edge))
    finally:
        world.between.restore()
    world.wait_until_back()
    return {str(row): answer for row, answer in zip(rows, answers, strict=True)}


@pytest.fixture
def edges(world: World, request: pytest.FixtureRequest) -> Edges:
    if default_wiring() == COMPOSED:
        return Edges(world, world.edge, world.edge, world.between, {})
    names = ("strict", "cold", "before_cold", "stalled")
    return Edges(world, *map(request.getfixturevalue, names))


@pytest.mark.parametrize(("row", "code"), PAIRS)
def test_a_row_answers_with_each_of_its_errors(edges: Edges, row: Row, code: str) -> None:
    assert code in PROVOCATIONS, f"{row} declares {code}, and nobody knows how to reach it"
    declared = _declared_codes(row)
    assert declared.get(code) == str(STATUS_OF[code]), f"{row}: {code} is not declared so"
    expect_problem(PROVOCATIONS[code](edges, row), STATUS_OF[code], code)


@pytest.mark.skipif(
    default_wiring() in (MONOLITHIC, COMPOSED), reason="nothing can stand in a hop to stall it"
)
def test_a_stalled_service_tier_costs_no_more_than_the_deadline(
    stalled: dict[str, requests.Response],
) -> None:
    for row, answer in stalled.items():
        assert answer.elapsed.total_seconds() < DEADLINE_SECONDS + 1, row


def test_the_contracts_codes_and_the_documents_statuses_agree() -> None:
    document = committed_document()
    for operation in document.operations():
        for status, codes in document.codes(operation).items():
            for code in codes:
                assert str(STATUS_OF[code]) == status, f"{operation}: {code} with {status}"


def test_every_row_that_makes_something_declares_that_its_key_may_be_running() -> None:
    for row in ROWS:
        if "IDEMPOTENCY_IN_PROGRESS" in row.required_codes():
            assert _declared_codes(row)["IDEMPOTENCY_IN_PROGRESS"] == "409"


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/users/a/b/c", "/nothing", "/api/v2"])
def test_an_unknown_path_is_not_found(world: World, path: str) -> None:
    with Edge(world.edge.url) as edge:
        answer = edge._session.get(edge.url + path, headers=world.admin.bearer, timeout=5)
        expect_problem(answer, 404, "NOT_FOUND")


@pytest.mark.parametrize("path", sorted({row.path for row in ROWS}))
def test_an_undeclared_method_is_not_allowed_and_the_allowed_ones_are_named(
    world: World, path: str
) -> None:
    served = {row.method for row in ROWS if row.path == path}
    with Edge(world.edge.url) as edge:
        for method in sorted({verb.upper() for verb in VERBS} - served):
            target = path.format(id=world.resident.id, date="2026-11-20")
            answer = edge.call(method, target, headers=world.admin.bearer)
            expect_problem(answer, 405, "METHOD_NOT_ALLOWED")
            allowed = {each.strip() for each in answer.headers["Allow"].split(",")}
            assert allowed - {"HEAD", "OPTIONS"} == served


@pytest.mark.parametrize("path", ["/auth/login", "/auth/change-password", "/nothing"])
def test_a_connection_whose_body_was_not_read_goes_on_or_is_said_to_end(
    world: World, path: str
) -> None:
    address = urlsplit(world.edge.url)
    for size in (200_000, MAX_BODY_BYTES + 1):
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(
                "POST", API + path, b"x" * size, {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            answer.read()
            if answer.getheader("Connection") != "close":
                connection.request("GET", "/health/live")
                assert connection.getresponse().status == 200
            assert 400 <= answer.status < 500
