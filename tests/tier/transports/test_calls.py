from __future__ import annotations

from typing import Any

import grpc
import pytest

from arcana.common.v1 import actor_pb2
from tests.tier.transports.asking import ask, ends, every_arity, request
from tests.tier.transports.probe_contract import ProbeStub
from tests.tier.transports.wires import Wire
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.metadata import ACTOR_KEY

ACTOR = Actor("u-1", frozenset({"user", "admin"}), "s-1")
NOBODY = actor_pb2.Actor(roles=["admin"]).SerializeToString()
SOMEBODY = actor_pb2.Actor(subject="u-1").SerializeToString()
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@every_arity
def test_the_handler_sees_the_caller_s_call(probe: ProbeStub, arity: str) -> None:
    with call_scope(Call(ACTOR, "r-1", Deadline.after(30), TRACEPARENT)):
        (answer,) = ask(probe, arity, request(answers=1))
    seen = answer.seen
    assert (seen.subject, list(seen.roles), seen.session_id) == ("u-1", ["admin", "user"], "s-1")
    assert (seen.request_id, seen.traceparent) == ("r-1", TRACEPARENT)
    assert seen.is_current_call


@every_arity
def test_the_call_is_not_left_behind_for_the_next_one(probe: ProbeStub, arity: str) -> None:
    with call_scope(Call(ACTOR, "r-1", Deadline.after(30), TRACEPARENT)):
        ask(probe, arity, request(answers=1))
    (answer,) = ask(probe, arity, request(answers=1))
    seen = answer.seen
    assert (seen.subject, list(seen.roles), seen.session_id, seen.traceparent) == ("", [], "", "")
    assert len(seen.request_id) == 36


def test_an_actor_of_any_text_arrives_as_it_is(probe: ProbeStub) -> None:
    actor = Actor("Zoë 日本 \r\n\x00", frozenset({"a,b", "=?;", " "}), "\U0001f600")
    with call_scope(Call(actor, "r-1", Deadline.after(30))):
        (answer,) = ask(probe, "Answer", request())
    seen = answer.seen
    assert (seen.subject, frozenset(seen.roles), seen.session_id) == (
        actor.subject,
        actor.roles,
        actor.session_id,
    )


@every_arity
def test_a_stranger_is_anonymous_and_gets_a_request_id(bare_probe: ProbeStub, arity: str) -> None:
    bad = [("x-request-id", "not a good one"), ("traceparent", "nonsense")]
    (answer,) = ask(bare_probe, arity, request(answers=1), metadata=bad)
    assert (answer.seen.subject, answer.seen.traceparent) == ("", "")
    assert len(answer.seen.request_id) == 36


@every_arity
@pytest.mark.parametrize(
    "actors",
    [[b"\xff\xff"], [NOBODY], [SOMEBODY, SOMEBODY]],
    ids=["junk", "roles of nobody", "two"],
)
def test_an_actor_that_cannot_be_read_is_refused(
    bare_probe: ProbeStub, wire: Wire, arity: str, actors: list[bytes]
) -> None:
    metadata = [(ACTOR_KEY, actor) for actor in actors]
    ended: Any = ends(bare_probe, arity, request(answers=1), metadata=metadata)
    assert ended[:2] == (grpc.StatusCode.UNAUTHENTICATED, "The actor cannot be read.")
