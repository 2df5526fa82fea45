"""Traces of real processes, as a real collector gets them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pytest

from tests.stores import StoreKind, Stores
from tests.stores.waiting import eventually
from tests.system.client import Edge, expect, new_email, new_password
from tests.system.processes import ArcanaProcesses
from tests.system.wiring import USUAL, Place, Wiring
from tests.tracing.collector import CollectedSpan, Collector, collecting

SECONDS = 30.0
AUTH = "arcana.service.v1.AuthService"
REPOSITORY = "arcana.repository.v1"
REAL_GRPC = Place(USUAL, "real")
# Both ways in which tiers speak to each other, each once.
PLACES = (REAL_GRPC, Place(Wiring("layered", "http"), "embedded"))


@dataclass(frozen=True, slots=True)
class Traced:
    """Running tiers, and what they tell a collector."""

    place: Place
    arcana: ArcanaProcesses
    collector: Collector
    edge: Edge


@pytest.fixture(scope="module", params=PLACES, ids=str)
def traced(
    request: pytest.FixtureRequest, stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Traced]:
    place: Place = request.param
    if place.kind == "real":
        # Skips or fails where there is none.
        request.getfixturevalue("redis_server_url")
    with collecting() as collector:
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-collector-key=s3cret%2Dkey",
            # What nobody asks for by a header is not traced: the tests name their traces.
            "OTEL_TRACES_SAMPLER_ARG": "0",
        }
        kind: StoreKind = place.kind
        home = tmp_path_factory.mktemp("traced")
        store = stores.new_store(kind)
        with (
            ArcanaProcesses(home, store, settings, place.wiring) as arcana,
            Edge(arcana.edge_url) as edge,
        ):
            if place is REAL_GRPC:
                arcana.start("worker")
            yield Traced(place, arcana, collector, edge)


class Trace:
    """The spans of one trace."""

    def __init__(self, spans: Iterable[CollectedSpan]) -> None:
        self.spans = list(spans)
        self._by_id = {span.span_id: span for span in self.spans}

    def one(self, name: str, kind: str = "SERVER") -> CollectedSpan:
        found = [span for span in self.spans if (span.name, span.kind) == (name, kind)]
        assert len(found) == 1, f"{len(found)} of {name} among {[s.name for s in self.spans]}"
        return found[0]

    def path(self, span: CollectedSpan) -> list[tuple[str, str]]:
        """Give names and kinds from the root of the trace, without its id, down to a span."""
        above = self._by_id.get(span.parent_id)
        return [*(self.path(above) if above else []), (span.name, span.kind)]

    def roots(self) -> list[CollectedSpan]:
        return [span for span in self.spans if span.parent_id not in self._by_id]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was sent in a trace of its own: the trace, and the caller's span."""

    trace_id: str
    span_id: str


def ask(traced: Traced, method: str, path: str, body: object = None) -> Asked:
    asked = Asked(secrets.token_hex(16), secrets.token_hex(8))
    headers = {
        "traceparent": f"00-{asked.trace_id}-{asked.span_id}-01",
        "tracestate": "shop=t61rcWkgMzE",
    }
    answer = traced.edge.call(method, path, body, headers=headers)
    assert answer.status_code < 500
    return asked


def whole(traced: Traced, asked: Asked, *names: str) -> Trace:
    """Wait until these spans have come, and all that are told of by others, and give them."""

    def came() -> Trace:
        spans = traced.collector.trace(asked.trace_id)
        assert set(names) <= {span.name for span in spans}
        parents = {span.parent_id for span in spans}
        assert parents <= {asked.span_id, *(span.span_id for span in spans)}
        calls = {s.span_id for s in spans if s.kind == "CLIENT" and "rpc.method" in s.attributes}
        assert calls <= parents
        assert asked.span_id in parents
        return Trace(spans)

    return eventually(came, SECONDS, f"the spans {names}", interval=0.1)


def registration() -> dict[str, str]:
    return {"name": "Ada", "email": new_email(), "password": new_password()}


def test_one_request_is_one_trace_through_all_tiers_to_the_database(traced: Traced) -> None:
    body = registration()
    asked = ask(traced, "POST", "/auth/register", body)
    edge_name, rule = "POST /api/v1/auth/register", "/api/v1/auth/register"
    trace = whole(traced, asked, edge_name, "INSERT users")
    edge = trace.one(edge_name)
    assert trace.roots() == [edge]
    assert (edge.parent_id, edge.tracestate) == (asked.span_id, "shop=t61rcWkgMzE")
    assert edge.attributes == {
        "http.request.method": "POST",
        "http.route": rule,
        "http.response.status_code": 201,
    }
    insert = trace.one("INSERT users", "CLIENT")
    register, create = f"{AUTH}/Register", f"{REPOSITORY}.UserRepository/CreateUser"
    assert trace.path(insert) == [
        (edge_name, "SERVER"),
        (register, "CLIENT"),
        (register, "SERVER"),
        (create, "CLIENT"),
        (create, "SERVER"),
        ("INSERT users", "CLIENT"),
    ]
    assert insert.attributes["db.operation.name"] == "INSERT"
    assert str(insert.attributes["db.query.text"]).startswith("INSERT INTO users")
    # That an address is free is a failure to the one who asks for its user, and to nobody else.
    assert not [span.name for span in trace.spans if span.is_failed and span.kind == "SERVER"]


def test_the_spans_of_a_hop_say_what_carried_it(traced: Traced) -> None:
    asked = ask(traced, "POST", "/auth/register", registration())
    method = f"{REPOSITORY}.UserRepository/CreateUser"
    trace = whole(traced, asked, method, "POST /api/v1/auth/register", "INSERT users")
    for kind in ("CLIENT", "SERVER"):
        span = trace.one(method, kind)
        assert span.attributes["rpc.system.name"] == traced.place.wiring.protocol
        assert span.attributes["rpc.method"] == method
        assert span.attributes["rpc.response.status_code"] == "OK"
    assert {span.service for span in trace.spans} >= {
        "arcana-controller",
        "arcana-service",
        "arcana-repository",
    }


def test_what_is_not_found_fails_no_span_of_a_server_and_names_its_error(traced: Traced) -> None:
    asked = ask(traced, "GET", "/products/0192b3c4-d5e6-7f80-8123-456789abcdef")
    route = "GET /api/v1/products/<id:id>"
    trace = whole(traced, asked, route, f"{REPOSITORY}.ProductRepository/GetProduct")
    edge = trace.one(route)
    assert (edge.attributes["http.response.status_code"], edge.is_failed) == (404, False)
    assert edge.attributes["error.type"] == "PRODUCT_NOT_FOUND"
    server = trace.one(f"{REPOSITORY}.ProductRepository/GetProduct")
    client = trace.one(f"{REPOSITORY}.ProductRepository/GetProduct", "CLIENT")
    assert (server.is_failed, client.is_failed) == (False, True)
    for span in (server, client):
        assert span.attributes["rpc.response.status_code"] == "NOT_FOUND"
        assert span.attributes["error.type"] == "PRODUCT_NOT_FOUND"


def test_log_lines_of_all_tiers_name_the_trace(traced: Traced) -> None:
    asked = ask(traced, "POST", "/auth/register", registration())
    arcana = traced.arcana
    for tier in arcana.tiers:
        eventually(
            lambda tier=tier: any(  # type: ignore[misc]  # bound now
                line.get("trace_id") == asked.trace_id and line.get("request_id")
                for line in arcana.log_lines(tier)
            ),
            what=f"a line of the {tier} tier with the trace's id",
        )


def test_no_span_tells_an_address_a_password_or_a_token(traced: Traced) -> None:
    edge = traced.edge
    account = edge.new_account()
    again = {"name": "Ada", "email": account.email, "password": new_password()}
    traces = [
        ask(traced, "POST", "/auth/register", again),
        ask(traced, "POST", "/auth/login", {"email": account.email, "password": "Wr0ng-password"}),
        ask(traced, "POST", "/auth/verify-email", {"token": "made-up-verification-token"}),
        ask(traced, "GET", f"/users/{account.email}"),
        ask(traced, "GET", f"/users?search={account.email}"),
        ask(traced, "POST", "/auth/register", registration()),
    ]
    for asked in traces:
        roots = whole(traced, asked).roots()
        assert [root.parent_id for root in roots] == [asked.span_id]
    text = "".join(span.wire for span in traced.collector.spans)
    assert account.email.split("@")[0] not in text
    for told in {*edge.secrets, "made-up-verification-token", "Wr0ng-password", "scrypt:", "Ada"}:
        assert told not in text


def test_what_is_not_asked_for_is_not_traced_and_the_key_is_sent_along(traced: Traced) -> None:
    expect(traced.edge.get("/health/live"), 200)
    traced.edge.new_account()
    asked = ask(traced, "POST", "/auth/register", registration())
    whole(traced, asked, "POST /api/v1/auth/register")
    assert {span.tracestate for span in traced.collector.spans} <= {"shop=t61rcWkgMzE", ""}
    assert not [span for span in traced.collector.spans if "health" in span.name]
    assert ("x-collector-key", "s3cret-key") in traced.collector.metadata


@pytest.mark.parametrize("traced", [REAL_GRPC], indirect=True, ids=str)
def test_redis_and_the_job_of_a_request_stand_in_its_trace(traced: Traced) -> None:
    asked = ask(traced, "POST", "/auth/register", registration())
    job = "job send-email"
    finish = f"{REPOSITORY}.JobRepository/FinishJob"
    trace = whole(traced, asked, job, finish, "event auth.user_registered")
    redis = [s for s in trace.spans if s.attributes.get("db.system.name") == "redis"]
    assert redis, [span.name for span in trace.spans]
    assert all(len(trace.path(span)) > 2 for span in redis)
    assert {span.attributes["db.system.name"] for span in trace.spans if "INSERT" in span.name} <= {
        "mysql",
        "mariadb",
    }
    runs = [span for span in trace.spans if span.name == job]
    for run in runs:
        # From the request over the event that it caused.
        names = [name for name, _ in trace.path(run)]
        assert names[0] == "POST /api/v1/auth/register"
        assert "event auth.user_registered" in names
    ends = [span for span in trace.spans if span.name == finish and span.kind == "CLIENT"]
    assert ends
    assert {trace.path(end)[-2][0] for end in ends} == {job}


def test_a_process_that_does_not_trace_does_not_load_what_traces(
    start_arcana: Callable[..., ArcanaProcesses],
) -> None:
    arcana = start_arcana("embedded", USUAL, PYTHONPROFILEIMPORTTIME="1")
    arcana.start("worker")
    loaded = {
        tier: {line.rpartition("|")[2].strip() for line in arcana.logs(tier).splitlines()}
        for tier in (*arcana.tiers, "worker")
    }
    for tier, modules in loaded.items():
        # It was told what is loaded.
        assert "tier_runtime.tracing.spans" in modules
        assert not {"tier_runtime.tracing.otel", "tier_runtime.tracing.otlp"} & modules
        traces = [name for name in modules if name.startswith("opentelemetry")]
        if tier in {"repository", "worker"}:
            # The client of Redis loads the part for metrics wherever that is installed.
            unwanted = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.proto")
            traces = [name for name in traces if name.startswith(unwanted)]
        assert not traces, f"the {tier} tier loads {traces}"
