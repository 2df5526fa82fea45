"""Every error that a row of the contract can answer with is reached at the running edge.

Each answer is also held to the committed OpenAPI document: its status, its code and its schema must
be declared for that row. IDEMPOTENCY_IN_PROGRESS needs a lock held in a real database and is
reached in tests/chaos; INTERNAL_ERROR is the one code that nobody may reach.
"""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.stores import Stores
from tests.stores.waiting import eventually
from tests.system.client import API, Edge, expect_problem, is_outside_base
from tests.system.composed import Composed
from tests.system.document import VERBS, committed_document
from tests.system.load import all_at_once
from tests.system.processes import ArcanaProcesses
from tests.system.provocations import MAX_BODY_BYTES, PROVOCATIONS, Answers, Edges
from tests.system.row_table import ROWS
from tests.system.rows import STATUS_OF, Call, Row
from tests.system.wiring import USUAL, Place, default_wiring
from tests.system.world import World, world_at

REACHED_ELSEWHERE = {"IDEMPOTENCY_IN_PROGRESS", "INTERNAL_ERROR"}
# A monolith has no hop that could be lost.
ERRORS_OF_A_HOP = {"SERVICE_UNAVAILABLE", "DEADLINE_EXCEEDED"}
IS_MONOLITH = default_wiring().mode == "monolithic"
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
    if IS_MONOLITH:
        codes -= ERRORS_OF_A_HOP
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


@contextlib.contextmanager
def _further_edge(world: World, stores: Stores, folder: Path, **settings: str) -> Iterator[Edge]:
    """Run one more edge, which meets the same losses as the first."""
    if isinstance(world.system, Composed):
        with (
            world.system.one_more_edge(**settings) as seen,
            Edge(seen.edge_url, committed_document().check) as edge,
        ):
            yield edge
        return
    # In front of a monolith it is an edge alone.
    wiring = USUAL if IS_MONOLITH else default_wiring()
    processes = ArcanaProcesses(folder, stores.new_store("embedded"), settings, wiring)
    processes.call_services_at(world.between.urls or {"service": world.arcana.service_url})
    try:
        processes.spawn("controller")
        with Edge(processes.edge_url, committed_document().check) as edge:
            eventually(edge.is_live, 20, "one more edge")
            yield edge
    finally:
        processes.stop()


@pytest.fixture(scope="module")
def strict(
    world: World, stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Edge]:
    """Run an edge that requires If-Match and limits hard."""
    settings = {f"RATE_LIMIT_{name}": "1/60" for name in LIMITS}
    settings |= {"REQUIRE_IF_MATCH": "true"}
    with _further_edge(world, stores, tmp_path_factory.mktemp("strict"), **settings) as edge:
        yield edge


@pytest.fixture(scope="module")
def lost(world: World, stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """Ask all rows at once while the service tier is gone, and again while it stands still.

    Who could keep an answer is asked at an edge that has never had one.
    """
    if IS_MONOLITH:
        return {}
    # One worker, so that the connection which is seen to stand is the one that is asked over.
    settings = {"REQUEST_TIMEOUT_SECONDS": str(DEADLINE_SECONDS), "WEB_WORKERS": "1"}
    # It is cut off for long, and shall still say how each call ends, not that it makes none.
    settings["CIRCUIT_BREAKER_FAILURES"] = "1000000"
    losses = {"SERVICE_UNAVAILABLE": world.between.cut, "DEADLINE_EXCEEDED": world.between.stall}
    answers: Answers = {}
    with _further_edge(world, stores, tmp_path_factory.mktemp("cold"), **settings) as cold:
        for code, lose in losses.items():
            calls = {row: row.call(world) for row in ROWS if code in _codes(row)}
            # Only a connection that stands can be lost; that it does, the health shows.
            eventually(lambda: cold.get("/health").status_code == 200, 10, "a connection")
            lose()
            try:
                answers |= _answers(calls, code, world.edge, cold)
            finally:
                world.between.restore()
            world.wait_until_back()
    return answers


def _answers(calls: dict[Row, Call], code: str, usual: Edge, cold: Edge) -> Answers:
    """Ask all at once, each until the edge has noticed what became of the tier.

    A call that is under way just then may fail in the other way, and the failure to read the keys
    is remembered for a moment. Whoever never notices has its last answer judged.
    """
    rows = list(calls)

    def ask(number: int) -> requests.Response:
        row, ends = rows[number], time.monotonic() + 10
        while True:
            answer = calls[row].send(cold if row.keeps_its_answer else usual)
            if answer.status_code == STATUS_OF[code] or time.monotonic() > ends:
                return answer

    answers = all_at_once(len(rows), ask)
    return {(row, code): answer for row, answer in zip(rows, answers, strict=True)}


@pytest.fixture
def edges(world: World, strict: Edge, lost: Answers) -> Edges:
    return Edges(world, strict, lost)


@pytest.mark.parametrize(("row", "code"), PAIRS)
def test_a_row_answers_with_each_of_its_errors(edges: Edges, row: Row, code: str) -> None:
    assert code in PROVOCATIONS, f"{row} declares {code}, and nobody knows how to reach it"
    declared = _declared_codes(row)
    assert declared.get(code) == str(STATUS_OF[code]), f"{row}: {code} is not declared so"
    expect_problem(PROVOCATIONS[code](edges, row), STATUS_OF[code], code)


@pytest.mark.skipif(IS_MONOLITH, reason="it has no hop that could stall")
def test_a_stalled_service_tier_costs_no_more_than_the_deadline(lost: Answers) -> None:
    stalled = {row: answer for (row, code), answer in lost.items() if code == "DEADLINE_EXCEEDED"}
    assert stalled
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
