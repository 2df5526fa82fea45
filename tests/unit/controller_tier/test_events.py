"""GET /events: server-sent events, over a fake service tier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import orjson
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from arcana.common.v1.domain_event_pb2 import DomainEvent
from controller_tier.app import CLOSE_FEEDS
from controller_tier.event_feeds import HEARTBEAT_SECONDS
from tests.unit.controller_tier.edge import Answer, Edge, problem_of
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import Uuid7Source

_IDS = Uuid7Source()


@pytest.fixture
def edge() -> Edge:
    return Edge.make(event_streams=1)


def event(event_type: str = "order.created") -> DomainEvent:
    return DomainEvent(
        id=_IDS.new_id(),
        type=event_type,
        aggregate_type="order",
        aggregate_id=_IDS.new_id(),
        payload={"total_minor": "1999"},
        occurred_time=Timestamp(seconds=1_795_233_600),
        actor_subject="someone",
    )


def get(edge: Edge, query: str = "", token: str = "", **headers: str) -> Answer:
    token = token or edge.signed_in("admin", "user")[1]
    return edge.call("GET", f"events{query}", token=token, headers=headers)


def begun(edge: Edge) -> Iterator[bytes]:
    """Begin a stream that nobody has read to its end."""
    _, token = edge.signed_in("admin", "user", email=f"{_IDS.new_id()}@example.org")
    client = edge.app.test_client()
    answer = client.get("/api/v1/events", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    return iter(cast("Iterable[bytes]", answer.response))


def test_events_come_with_id_type_and_document(edge: Edge) -> None:
    first, second = event(), event("order.paid")
    edge.tier.events = [first, None, second]
    answer = get(edge)
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    retry, one, two, end = answer.data.decode().split("\n\n")
    assert (retry, end) == ("retry: 2000", "")
    assert two.startswith(f"id: {second.id}\nevent: order.paid\ndata: ")
    lines = dict(line.split(": ", 1) for line in one.split("\n"))
    assert (lines["id"], lines["event"]) == (first.id, "order.created")
    assert orjson.loads(lines["data"]) == {
        "id": first.id,
        "type": "order.created",
        "aggregate_type": "order",
        "aggregate_id": first.aggregate_id,
        "payload": {"total_minor": "1999"},
        "occurred_at": "2026-11-21T04:00:00.000000Z",
        "request_id": None,
        "actor_id": "someone",
    }


def test_what_was_seen_last_goes_before_what_was_asked_for_first(edge: Edge) -> None:
    asked, seen = _IDS.new_id(), _IDS.new_id()
    get(edge, f"?after={asked.upper()}&type=order.created,order.paid")
    get(
        edge,
        f"?after={asked}",
        edge.signed_in("admin", email="eve@example.org")[1],
        **{"Last-Event-ID": seen},
    )
    first, second = (each for each in edge.tier.received if each.method == "StreamEvents")
    assert list(first.request.types) == ["order.created", "order.paid"]
    assert first.request.after_event_id == asked
    assert second.request.after_event_id == seen
    # Longer than a request, shorter than for ever.
    assert first.call is not None
    assert 200 < first.call.deadline.remaining() <= 300


def test_silence_is_broken_now_and_then(edge: Edge) -> None:
    signs = iter(range(25))

    def more() -> bool:
        edge.clock.advance(1.0)
        # Whoever polls access goes on meanwhile.
        edge.feed.poll()
        return next(signs, None) is not None

    edge.tier.more_events = more
    body = get(edge).data
    assert body.count(b": heartbeat\n\n") == 25 // int(HEARTBEAT_SECONDS)


def test_admins_only(edge: Edge) -> None:
    problem_of(edge.call("GET", "events"), 401, "UNAUTHENTICATED")
    _, token = edge.signed_in("user")
    problem_of(get(edge, token=token), 403, "FORBIDDEN")


def test_who_is_no_admin_any_more_sees_no_more(edge: Edge) -> None:
    user, token = edge.signed_in("admin", "user")
    more = iter([True] * 3)

    def demote() -> bool:
        edge.tier.end_sessions_of(user.id)
        edge.feed.poll()
        asked.append(True)
        return next(more, False)

    asked: list[bool] = []
    edge.tier.more_events = demote
    assert get(edge, token=token).data == b"retry: 2000\n\n"
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("query", "bad"),
    [
        ("?type=Order", "type"),
        ("?type=order.created,,", "type"),
        ("?after=7", "after"),
        ("?since=1", "since"),
    ],
)
def test_what_is_no_type_and_no_event_is_refused(edge: Edge, query: str, bad: str) -> None:
    assert problem_of(get(edge, query), 400, "VALIDATION_FAILED")["errors"].keys() == {bad}


def test_a_last_event_that_is_none_is_refused(edge: Edge) -> None:
    answer = get(edge, **{"Last-Event-ID": "seven"})
    assert problem_of(answer, 400, "VALIDATION_FAILED")["errors"].keys() == {"Last-Event-ID"}


def test_a_service_tier_that_is_away_is_a_problem_document(edge: Edge) -> None:
    away = AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Away.", retry_after=1.0)
    edge.tier.failures["StreamEvents"] = away
    for _ in range(3):
        _, token = edge.signed_in("admin", email=f"{_IDS.new_id()}@example.org")
        # And its place is given back.
        problem_of(get(edge, token=token), 503, "SERVICE_UNAVAILABLE")


def test_there_are_only_so_many_and_who_leaves_makes_room(edge: Edge) -> None:
    edge.tier.more_events = lambda: True
    first = begun(edge)
    next(first)
    _, token = edge.signed_in("admin", email="eve@example.org")
    problem_of(get(edge, token=token), 503, "SERVICE_UNAVAILABLE")
    first.close()  # type: ignore[attr-defined]  # as gunicorn does when its client goes
    second = begun(edge)
    assert next(second) == b"retry: 2000\n\n"


def test_all_streams_end_when_the_worker_stops(edge: Edge) -> None:
    edge.tier.more_events = lambda: True
    open_stream = begun(edge)
    next(open_stream)
    edge.app.extensions[CLOSE_FEEDS]()
    assert list(open_stream) == []
    _, token = edge.signed_in("admin", email="eve@example.org")
    problem_of(get(edge, token=token), 503, "SERVICE_UNAVAILABLE")


def test_who_asks_for_the_head_only_holds_no_stream(edge: Edge) -> None:
    _, token = edge.signed_in("admin")
    headers = {"Authorization": f"Bearer {token}"}
    edge.tier.more_events = lambda: True
    for _ in range(3):
        answer = edge.app.test_client().head("/api/v1/events", headers=headers, buffered=True)
        assert (answer.status_code, answer.data) == (200, b"")
