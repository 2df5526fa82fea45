from __future__ import annotations

import pytest

from tests.tracing.recorded import (
    CALLER,
    TRACE_ID,
    UNRECORDED,
    Recorded,
    context_of,
    id_of,
    parent_of,
)
from tier_runtime.metadata import is_traceparent
from tier_runtime.tracing.spans import NO_SPAN, NO_TRACING, NOTHING_CARRIED, Carried, NoSpan, Query

METHOD = "/arcana.test.v1.Things/GetThing"


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def test_a_request_without_a_trace_begins_one_at_the_edge(recorded: Recorded) -> None:
    span = recorded.tracing.edge("GET", "/things/<id:id>", NOTHING_CARRIED)
    assert is_traceparent(span.traceparent)
    assert span.traceparent.endswith("-01")
    span.answered(200, None)
    span.end()
    assert recorded.only.name == "GET /things/<id:id>"
    assert dict(recorded.only.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/things/<id:id>",
        "http.response.status_code": 200,
    }
    assert recorded.only.status.is_unset


def test_a_request_goes_on_in_the_trace_that_it_came_with(recorded: Recorded) -> None:
    span = recorded.tracing.edge("GET", "", Carried(CALLER, "shop=1,other=2"))
    span.end()
    assert span.traceparent.split("-")[1] == TRACE_ID
    assert parent_of(recorded.only) == "b7ad6b7169203331"
    assert context_of(recorded.only).trace_state.to_header() == "shop=1,other=2"


def test_a_verb_that_is_none_is_not_told(recorded: Recorded) -> None:
    recorded.tracing.edge("ada@people.example", "", NOTHING_CARRIED).end()
    assert recorded.only.name == "HTTP"
    assert dict(recorded.only.attributes or {}) == {"http.request.method": "_OTHER"}


@pytest.mark.parametrize(
    ("status", "error", "fails", "told"),
    [
        (404, "NOT_FOUND", False, "NOT_FOUND"),
        (500, None, True, "500"),
        (503, "SERVICE_UNAVAILABLE", True, "SERVICE_UNAVAILABLE"),
        (304, None, False, None),
    ],
)
def test_a_fault_of_the_edge_fails_its_span_and_one_of_its_client_does_not(
    recorded: Recorded, status: int, error: str | None, fails: bool, told: str | None
) -> None:
    span = recorded.tracing.edge("GET", "/", NOTHING_CARRIED)
    span.answered(status, error)
    span.end()
    assert (not recorded.only.status.is_unset) is fails
    assert recorded.only.status.description is None
    assert (recorded.only.attributes or {}).get("error.type") == told


def test_the_caller_decides_whether_its_trace_is_recorded() -> None:
    nothing, everything = Recorded(0.0), Recorded(1.0)
    nothing.tracing.edge("GET", "/", Carried(CALLER)).end()
    carried = Carried(UNRECORDED)
    for span in (
        everything.tracing.edge("GET", "/", carried),
        everything.tracing.work("job", carried),
        everything.tracing.served(METHOD, "grpc", carried, begins=True),
    ):
        # So that what came is passed on as it is.
        assert not span.traceparent
    assert len(nothing.spans) == 1
    assert not everything.spans


def test_who_decides_by_ratio_decides_for_all_that_follow() -> None:
    recorded = Recorded(0.0)
    edge = recorded.tracing.edge("GET", "/", NOTHING_CARRIED)
    assert edge.traceparent.endswith("-00")
    carried = Carried(edge.traceparent)
    assert isinstance(recorded.tracing.called(METHOD, "grpc", "h:1", carried), NoSpan)
    assert isinstance(recorded.tracing.asked(Query("redis", "GET"), carried), NoSpan)
    recorded.tracing.served(METHOD, "grpc", carried).end("OK")
    assert not recorded.spans


def test_an_rpc_without_a_trace_begins_one_only_at_an_edge(recorded: Recorded) -> None:
    assert isinstance(recorded.tracing.served(METHOD, "grpc", NOTHING_CARRIED), NoSpan)
    recorded.tracing.served(METHOD, "grpc", NOTHING_CARRIED, begins=True).end("OK")
    assert recorded.only.name == METHOD.removeprefix("/")


@pytest.mark.parametrize(
    ("code", "server_fails", "client_fails"),
    [("OK", False, False), ("NOT_FOUND", False, True), ("INTERNAL", True, True)],
)
def test_a_code_is_a_failure_of_the_one_whose_fault_it_is(
    recorded: Recorded, code: str, server_fails: bool, client_fails: bool
) -> None:
    error = "" if code == "OK" else f"THING_{code}"
    server = recorded.tracing.served(METHOD, "http", Carried(CALLER))
    client = recorded.tracing.called(METHOD, "http", "db.example:80", Carried(CALLER))
    server.end(code, error)
    client.end(code, error)
    # Who finds it over at a second place says nothing new.
    client.end("CANCELLED")
    assert [not span.status.is_unset for span in recorded.spans] == [server_fails, client_fails]
    for span in recorded.spans:
        attributes = dict(span.attributes or {})
        assert attributes["rpc.response.status_code"] == code
        assert attributes["rpc.system.name"] == "http"
        assert attributes.get("error.type", "") == error


@pytest.mark.parametrize(
    ("peer", "address", "port"),
    [
        ("db.example:80", "db.example", 80),
        ("[::1]:80", "[::1]", 80),
        ("/name:50051", "name", 50051),
        ("10.0.0.1:1,10.0.0.2:1", "10.0.0.1:1,10.0.0.2:1", None),
        ("store", "store", None),
        ("", None, None),
    ],
)
def test_a_call_says_where_it_goes(
    recorded: Recorded, peer: str, address: str | None, port: int | None
) -> None:
    recorded.tracing.called(METHOD, "grpc", peer, Carried(CALLER)).end("OK")
    attributes = dict(recorded.only.attributes or {})
    assert (attributes.get("server.address"), attributes.get("server.port")) == (address, port)


def test_a_call_for_several_is_linked_with_the_spans_of_the_others(recorded: Recorded) -> None:
    other = "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"
    recorded.tracing.called(METHOD, "grpc", "", Carried(CALLER), [CALLER, other]).end("OK")
    (link,) = recorded.only.links
    assert f"{link.context.span_id:016x}" == "c7ad6b7169203331"


def test_work_is_a_part_of_a_trace_or_begins_one(recorded: Recorded) -> None:
    tracing = recorded.tracing
    outer = tracing.work("job a", NOTHING_CARRIED)
    inner = tracing.work("job b", Carried(outer.traceparent), [CALLER])
    inner.end("JOB_OUTCOME_FAILED")
    outer.end()
    inside, outside = recorded.spans
    assert parent_of(inside) == id_of(outside)
    assert [not span.status.is_unset for span in recorded.spans] == [True, False]
    assert parent_of(outside) == ""


def test_a_statement_is_told_by_its_table_and_without_what_is_not_known(
    recorded: Recorded,
) -> None:
    query = Query("mysql", "SELECT", "users", "SELECT id FROM users WHERE id = %s", "shop", "h", 3)
    recorded.tracing.asked(query, Carried(CALLER)).end()
    recorded.tracing.asked(Query("redis", "EVALSHA"), Carried(CALLER)).end("TimeoutError")
    statement, command = recorded.spans
    assert (statement.name, command.name) == ("SELECT users", "EVALSHA")
    assert dict(statement.attributes or {}) == {
        "db.system.name": "mysql",
        "db.operation.name": "SELECT",
        "db.collection.name": "users",
        "db.query.text": "SELECT id FROM users WHERE id = %s",
        "db.namespace": "shop",
        "server.address": "h",
        "server.port": 3,
    }
    assert dict(command.attributes or {}) == {
        "db.system.name": "redis",
        "db.operation.name": "EVALSHA",
        "error.type": "TimeoutError",
    }


def test_after_its_end_nothing_is_recorded(recorded: Recorded) -> None:
    recorded.tracing.close()
    recorded.tracing.work("late", NOTHING_CARRIED).end()
    assert not recorded.spans


def test_who_does_not_trace_makes_no_spans() -> None:
    carried = Carried(CALLER)
    assert not NO_TRACING.is_on
    for span in (
        NO_TRACING.edge("GET", "/", carried),
        NO_TRACING.served(METHOD, "grpc", carried, begins=True),
        NO_TRACING.called(METHOD, "grpc", "h:1", carried),
        NO_TRACING.work("job", carried),
        NO_TRACING.asked(Query("redis", "GET"), carried),
    ):
        assert span is NO_SPAN
        assert not span.traceparent
        span.answered(200, None)
        span.end()
    NO_TRACING.close()
