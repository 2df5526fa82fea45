from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from arcana.common.v1 import actor_pb2
from tests.stores.waiting import eventually
from tests.tier.runtime.arities import METHODS, SERVICE, Arities, AritiesStub, messages
from tests.tier.runtime.conftest import Connect, Serve
from tier_runtime.call import Actor, Call, call_scope, current_call
from tier_runtime.context import RpcContext
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

ACTOR = Actor("u-1", frozenset({"user", "admin"}), "s-1")
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Witness:
    """Answers every message and remembers the contexts in which it did."""

    def __init__(self) -> None:
        self.contexts: list[RpcContext] = []
        self.calls: list[Call | None] = []

    def answer(self, text: str, context: RpcContext) -> str:
        self.contexts.append(context)
        self.calls.append(current_call())
        return text


@pytest.mark.parametrize("method", METHODS)
def test_every_arity_answers(serve: Serve, stub_of: Connect, method: str) -> None:
    answers = stub_of(serve()).call(method, "x")
    assert set(answers) == {"x"}


@pytest.mark.parametrize("front", METHODS)
@pytest.mark.parametrize("back", METHODS)
def test_actor_request_id_and_deadline_cross_two_hops(
    serve: Serve, stub_of: Connect, front: str, back: str
) -> None:
    witness = Witness()
    back_stub = stub_of(serve(Arities(witness.answer)), hop_margin_seconds=0.5)

    def passes_on(text: str, _context: RpcContext) -> str:
        return back_stub.call(back, text)[0]

    front_stub = stub_of(serve(Arities(passes_on)), hop_margin_seconds=0.5)
    with call_scope(Call(ACTOR, "r-1", Deadline.after(30), TRACEPARENT)):
        assert set(front_stub.call(front, "x")) == {"x"}
    for context, call in zip(witness.contexts, witness.calls, strict=True):
        assert context.actor == ACTOR
        assert context.request_id == "r-1"
        # Two margins less; gRPC itself rounds a deadline up by as much as a hundredth.
        assert 20 < context.deadline.remaining() < 29.5
        assert call is context.call
        assert call.traceparent == TRACEPARENT
        assert "traceparent" in dict(context.invocation_metadata())


@pytest.mark.parametrize("method", METHODS)
def test_a_stranger_s_call_gets_a_request_id_a_deadline_and_no_rights(
    serve: Serve, bare_stub_of: Connect, method: str
) -> None:
    witness = Witness()
    stub = bare_stub_of(serve(Arities(witness.answer), default_deadline_seconds=3.0))
    stub.call(method, "x", metadata=[("x-request-id", "not a good one")])
    context = witness.contexts[0]
    assert context.actor.is_anonymous
    assert len(context.request_id) == 36
    assert 2.0 < context.deadline.remaining() <= 3.0
    assert context.time_remaining() <= 3.0


@pytest.mark.parametrize("method", METHODS)
def test_a_call_with_too_little_time_left_is_refused(
    serve: Serve, bare_stub_of: Connect, method: str
) -> None:
    witness = Witness()
    stub = bare_stub_of(serve(Arities(witness.answer), min_deadline_seconds=60.0))
    with pytest.raises(grpc.RpcError) as caught:
        stub.call(method, "x", timeout=30)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert witness.contexts == []


@pytest.mark.parametrize("method", METHODS)
def test_an_actor_that_cannot_be_read_is_refused_cleanly(
    serve: Serve, bare_stub_of: Connect, method: str
) -> None:
    witness = Witness()
    stub = bare_stub_of(serve(Arities(witness.answer)))
    for bad in (b"\xff\xff", actor_pb2.Actor(roles=["admin"]).SerializeToString()):
        with pytest.raises(grpc.RpcError) as caught:
            stub.call(method, "x", metadata=[("arcana-actor-bin", bad)])
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert witness.contexts == []


@pytest.mark.parametrize("method", METHODS)
def test_a_caller_waits_no_longer_than_its_deadline(
    serve: Serve, stub_of: Connect, log_lines: list[Any], method: str
) -> None:
    over = threading.Event()

    def waits(text: str, context: RpcContext) -> str:
        context.add_callback(over.set)
        assert over.wait(timeout=10)
        return text

    stub = stub_of(serve(Arities(waits)))
    with call_scope(Call(ACTOR, "r-1", Deadline.after(0.3))), pytest.raises(AppError) as caught:
        stub.call(method, "x")
    assert (caught.value.kind, caught.value.code) == (Kind.DEADLINE, "DEADLINE_EXCEEDED")
    eventually(lambda: [line["code"] for line in log_lines if line["event"] == "rpc"])


def test_a_handler_that_checks_its_deadline_stops_with_it(serve: Serve, stub_of: Connect) -> None:
    ended: list[AppError] = []

    def works(_text: str, context: RpcContext) -> str:
        try:
            while True:
                context.deadline.check()
                threading.Event().wait(0.005)
        except AppError as error:
            ended.append(error)
            raise

    stub = stub_of(serve(Arities(works)))
    with pytest.raises(AppError):
        stub.unary_unary("x", timeout=0.1)
    eventually(lambda: ended)
    assert ended[0].kind is Kind.DEADLINE


def test_a_stream_without_a_deadline_is_cut_at_the_default(
    serve: Serve, bare_stub_of: Connect
) -> None:
    def endless(_text: str, _context: RpcContext) -> Iterator[str]:
        while True:
            threading.Event().wait(0.005)
            yield "x"

    server = serve(Arities(behaviours={"UnaryStream": endless}), default_deadline_seconds=0.2)
    with pytest.raises(grpc.RpcError) as caught:
        bare_stub_of(server).unary_stream("x")
    assert caught.value.code() in {
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
    }


def test_a_silent_caller_without_a_deadline_does_not_hold_its_stream_for_ever(
    serve: Serve, bare_stub_of: Connect, log_lines: list[Any]
) -> None:
    stub = bare_stub_of(serve(default_deadline_seconds=0.2))
    enough = threading.Event()

    def silent() -> Iterator[StringValue]:
        yield StringValue(value="x")
        enough.wait(timeout=10)

    with pytest.raises(grpc.RpcError) as caught:
        stub.stream_unary_call(silent())
    enough.set()
    assert caught.value.code() is grpc.StatusCode.CANCELLED
    lines = eventually(lambda: [line for line in log_lines if line["event"] == "rpc"])
    # Never OK: the handler must not take what it got for all there was.
    assert lines[0]["code"] in {"CANCELLED", "DEADLINE_EXCEEDED"}
    assert "exc_info" not in lines[0]


@pytest.mark.parametrize("method", ["UnaryStream", "StreamStream"])
def test_cancelling_a_stream_closes_the_handler_s_iterator(
    serve: Serve, stub_of: Connect, log_lines: list[Any], method: str
) -> None:
    closed: list[Call | None] = []

    def endless(_given: Any, _context: RpcContext) -> Iterator[str]:
        try:
            while True:
                yield "x"
        finally:
            closed.append(current_call())

    stub = stub_of(serve(Arities(behaviours={method: endless})))
    request: Any = StringValue() if method == "UnaryStream" else iter([StringValue()])
    call: Any = stub.unary_stream_call if method == "UnaryStream" else stub.stream_stream_call
    answers = call(request)
    next(answers)
    answers.cancel()
    eventually(lambda: closed)
    assert closed[0] is not None
    lines = eventually(lambda: [line for line in log_lines if line["event"] == "rpc"])
    assert lines[0]["code"] == "CANCELLED"


def test_a_handler_whose_caller_has_gone_ends_as_cancelled(
    serve: Serve, stub_of: Connect, log_lines: list[Any]
) -> None:
    entered, release = threading.Event(), threading.Event()

    def reads(texts: Iterator[str], context: RpcContext) -> str:
        entered.set()
        eventually(lambda: not context.is_active())
        return "".join(texts)

    def silent() -> Iterator[StringValue]:
        release.wait(timeout=10)
        yield from ()

    stub = stub_of(serve(Arities(behaviours={"StreamUnary": reads})))
    future = stub.stream_unary_call.future(silent())
    assert entered.wait(timeout=10)
    future.cancel()
    release.set()
    lines = eventually(lambda: [line for line in log_lines if line["event"] == "rpc"])
    assert (lines[0]["code"], lines[0]["level"]) == ("CANCELLED", "info")


def test_what_was_cancelled_with_its_caller_was_not_away(
    serve: Serve, stub_of: Connect, log_lines: list[Any]
) -> None:
    def follows(_given: Any, context: RpcContext) -> Iterator[str]:
        yield "x"
        eventually(lambda: not context.is_active())
        # As the channel to the next tier says of a stream that is cancelled under its reader.
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "It is away.")

    answers: Any = stub_of(serve(Arities(behaviours={"UnaryStream": follows}))).unary_stream_call(
        StringValue()
    )
    next(answers)
    answers.cancel()
    lines = eventually(lambda: [line for line in log_lines if line["event"] == "rpc"])
    assert (lines[0]["code"], lines[0]["level"]) == ("CANCELLED", "info")


def test_streams_beyond_their_bound_are_refused_and_unary_calls_go_on(
    serve: Serve, stub_of: Connect, bare_stub_of: Connect
) -> None:
    server = serve(threads=4, max_open_streams=2)
    stub, stranger = stub_of(server), bare_stub_of(server)
    release = threading.Event()

    def held() -> Iterator[StringValue]:
        yield StringValue(value="x")
        release.wait(timeout=30)

    open_streams = [stub.stream_stream_call(held(), timeout=30) for _ in range(2)]
    for stream in open_streams:
        assert next(stream).value == "x"
    with pytest.raises(grpc.RpcError) as caught:
        stranger.unary_stream("x")
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(AppError) as refused:
        stub.unary_stream("x")
    assert (refused.value.kind, refused.value.retry_after) == (Kind.UNAVAILABLE, 1.0)
    assert stub.unary_unary("still here") == "still here"

    release.set()
    for stream in open_streams:
        assert list(stream) == []
    # The slots are free again, and more often than there are slots.
    for _ in range(5):
        assert eventually(lambda: _unless_refused(stub)) == ["x", "x"]


def _unless_refused(stub: AritiesStub) -> list[str]:
    try:
        return stub.unary_stream("x")
    except AppError:
        return []


def test_more_calls_than_the_server_takes_are_shed_as_overload(
    serve: Serve, stub_of: Connect
) -> None:
    release = threading.Event()
    entered: list[str] = []

    def waits(text: str, _context: RpcContext) -> str:
        entered.append(text)
        release.wait(timeout=30)
        return text

    stub = stub_of(serve(Arities(waits), threads=4, max_concurrent_rpcs=4))
    futures = [stub.unary_unary_call.future(StringValue(value="x"), timeout=30) for _ in range(4)]
    eventually(lambda: len(entered) == 4)
    with pytest.raises(AppError) as caught:
        stub.unary_unary("one too many", timeout=10)
    assert (caught.value.kind, caught.value.retry_after) == (Kind.UNAVAILABLE, 1.0)
    release.set()
    assert [future.result(timeout=10).value for future in futures] == ["x"] * 4


def test_calls_beyond_those_worked_on_at_once_wait_and_streams_go_on(
    serve: Serve, stub_of: Connect, log_lines: list[Any]
) -> None:
    release = threading.Event()
    entered: list[str] = []

    def waits(text: str, _context: RpcContext) -> str:
        entered.append(text)
        release.wait(timeout=30)
        return text

    server = serve(Arities(behaviours={"UnaryUnary": waits}), threads=8, max_at_once=2)
    stub = stub_of(server)
    futures = [stub.unary_unary_call.future(StringValue(value="x"), timeout=30) for _ in range(2)]
    eventually(lambda: len(entered) == 2)
    with pytest.raises(AppError) as late:
        stub.unary_unary("late", timeout=0.2)
    assert late.value.kind is Kind.DEADLINE
    eventually(lambda: _of_rpcs(log_lines, 1))
    futures.append(stub.unary_unary_call.future(StringValue(value="x"), timeout=30))
    assert stub.unary_stream("y") == ["y", "y"]
    assert entered == ["x", "x"]

    release.set()
    assert [future.result(timeout=10).value for future in futures] == ["x"] * 3
    assert entered == ["x"] * 3


@pytest.mark.parametrize("method", METHODS)
def test_every_rpc_is_one_log_line_of_its_call(
    serve: Serve, stub_of: Connect, log_lines: list[Any], method: str
) -> None:
    stub = stub_of(serve())
    with call_scope(Call(ACTOR, "r-1", Deadline.after(30))):
        stub.call(method, "x")
    (line,) = eventually(lambda: [line for line in log_lines if line["event"] == "rpc"])
    assert line["method"] == f"/test.v1.Arities/{method}"
    assert (line["code"], line["level"], line["actor"]) == ("OK", "info", "u-1")
    assert line["duration_ms"] >= 0


def test_requests_are_read_as_they_come(serve: Serve, stub_of: Connect) -> None:
    answered = threading.Event()

    def one_by_one() -> Iterator[str]:
        yield "one"
        assert answered.wait(timeout=10)
        yield "two"

    answers = stub_of(serve()).stream_stream_call(messages(one_by_one()))
    assert next(answers).value == "one"
    answered.set()
    assert [answer.value for answer in answers] == ["two"]


def test_a_polled_method_is_told_at_debug_level_while_it_succeeds(
    serve: Serve, stub_of: Connect, log_lines: list[Any]
) -> None:
    stub = stub_of(serve(quiet_methods=(f"/{SERVICE}/UnaryUnary",)))
    stub.call("UnaryUnary", "a")
    stub.call("UnaryStream", "a")
    rpcs = eventually(lambda: _of_rpcs(log_lines, 2))
    assert [line["log_level"] for line in rpcs] == ["debug", "info"]


def test_a_polled_method_is_told_aloud_when_it_fails(
    serve: Serve, stub_of: Connect, log_lines: list[Any]
) -> None:
    def refuse(_text: str, _context: RpcContext) -> str:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Not now.")

    stub = stub_of(serve(Arities(refuse), quiet_methods=(f"/{SERVICE}/UnaryUnary",)))
    with pytest.raises(AppError):
        stub.call("UnaryUnary", "a")
    [line] = eventually(lambda: _of_rpcs(log_lines, 1))
    assert line["log_level"] == "warning"


def _of_rpcs(lines: list[Any], count: int) -> list[Any]:
    found = [line for line in lines if line["event"] == "rpc"]
    return found if len(found) == count else []
