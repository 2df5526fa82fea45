from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace.span import TraceState

from arcana.common.v1 import actor_pb2
from tier_runtime import metadata
from tier_runtime.call import Actor, Call
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class FixedIds:
    def new_id(self) -> str:
        return "made"


@given(
    subject=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
    roles=st.frozensets(st.text(st.characters(codec="utf-8"), max_size=20), max_size=10),
    session_id=st.text(st.characters(codec="utf-8"), max_size=40),
)
def test_an_actor_survives_the_hop(subject: str, roles: frozenset[str], session_id: str) -> None:
    actor = Actor(subject, roles, session_id)
    carried = metadata.metadata_of(Call(actor, "r-1", Deadline.after(1)))
    assert metadata.actor_from(carried) == actor


def test_request_id_and_traceparent_survive_the_hop() -> None:
    carried = metadata.metadata_of(Call(Actor(), "r-1", Deadline.after(1), TRACEPARENT))
    assert metadata.request_id_from(carried, FixedIds()) == "r-1"
    assert metadata.traceparent_from(carried) == TRACEPARENT
    assert actor_pb2.Actor.FromString(dict(carried)["arcana-actor-bin"]).request_id == "r-1"  # type: ignore[arg-type] # bytes by its name


def test_without_a_traceparent_none_is_sent() -> None:
    carried = metadata.metadata_of(Call(Actor(), "r-1", Deadline.after(1)))
    assert "traceparent" not in dict(carried)


def test_without_metadata_the_actor_is_anonymous_and_the_request_id_made() -> None:
    assert metadata.actor_from([]) == Actor()
    assert metadata.request_id_from([], FixedIds()) == "made"
    assert metadata.traceparent_from([]) == ""


@pytest.mark.parametrize("good", ["a", "A-b_c.9", "x" * 128])
def test_a_good_request_id_is_taken(good: str) -> None:
    assert metadata.request_id_from([("x-request-id", good)], FixedIds()) == good


@pytest.mark.parametrize("bad", ["", "x" * 129, "a b", "a\n", "ä", "a/b", b"bytes"])
def test_a_bad_request_id_is_replaced(bad: str | bytes) -> None:
    assert metadata.request_id_from([("x-request-id", bad)], FixedIds()) == "made"


@pytest.mark.parametrize("bad", ["", TRACEPARENT.upper(), TRACEPARENT + "-x", "00-1-2-3", b"00"])
def test_a_bad_traceparent_is_dropped(bad: str | bytes) -> None:
    assert metadata.traceparent_from([("traceparent", bad)]) == ""


@pytest.mark.parametrize(
    "good", ["shop=t61rcWkgMzE", "a=1,b/c=2 , 3t@v=x y", "a=1,,", "a=" + "x" * 256]
)
def test_a_tracestate_is_taken_as_it_came(good: str) -> None:
    assert metadata.tracestate_from([("tracestate", good)]) == good
    assert len(TraceState.from_header([good])) > 0


@pytest.mark.parametrize(
    "bad",
    ["", "somebody@example.org", "a", "A=1", "a=", "a=1,b", "a=1=2", "a=\x7f", "a=" + "x" * 511],
)
def test_a_tracestate_that_opentelemetry_would_not_read_is_dropped(bad: str) -> None:
    assert metadata.tracestate_from([("tracestate", bad)]) == ""


@pytest.mark.parametrize(
    "values",
    [
        [b"\xff\xff"],
        ["text"],
        [b"\x0a\x02\xff\xff"],
        [actor_pb2.Actor(subject="a").SerializeToString()] * 2,
        [actor_pb2.Actor(subject="a" * 257).SerializeToString()],
        [actor_pb2.Actor(subject="a", session_id="s" * 257).SerializeToString()],
        [actor_pb2.Actor(subject="a", roles=["r" * 257]).SerializeToString()],
        [actor_pb2.Actor(subject="a", roles=["r"] * 65).SerializeToString()],
        [actor_pb2.Actor(subject="a", roles=["r" * 250] * 20).SerializeToString()],
        [actor_pb2.Actor(roles=["admin"]).SerializeToString()],
        [actor_pb2.Actor(session_id="s").SerializeToString()],
    ],
    ids=[
        "garbage",
        "text",
        "not utf-8",
        "two",
        "long subject",
        "long session",
        "long role",
        "many roles",
        "large",
        "roles of nobody",
        "session of nobody",
    ],
)
def test_an_actor_that_cannot_be_believed_is_refused(values: list[str | bytes]) -> None:
    with pytest.raises(AppError) as caught:
        metadata.actor_from([("arcana-actor-bin", value) for value in values])
    assert (caught.value.kind, caught.value.code) == (Kind.UNAUTHENTICATED, "UNAUTHENTICATED")


@given(st.binary(max_size=200))
def test_no_bytes_make_the_actor_crash(value: bytes) -> None:
    kinds = set()
    try:
        metadata.actor_from([("arcana-actor-bin", value)])
    except AppError as error:
        kinds.add(error.kind)
    assert kinds <= {Kind.UNAUTHENTICATED}
