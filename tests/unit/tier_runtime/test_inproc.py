from __future__ import annotations

import gc
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import grpc
import pytest
import structlog
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import (  # type: ignore[import-untyped]  # ships no types
    health_pb2,
    health_pb2_grpc,
)
from structlog.testing import LogCapture

from tests.stores.waiting import eventually
from tests.tier.runtime.arities import METHODS, SERVICE, Arities, AritiesStub, messages
from tier_runtime.call import Actor, Call, call_scope, current_call
from tier_runtime.catalogue import GENERAL_CODES
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.context import RpcContext
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.health import HealthBoard
from tier_runtime.inproc import InprocChannel, LocalServer
from tier_runtime.server import GrpcServerSettings
from tier_runtime.tier import Tier

SETTINGS = GrpcServerSettings(bind="127.0.0.1:0", threads=4)
ACTOR = Actor("u-1", frozenset({"user"}), "s-1")
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Local:
    """A server in this process, channels to it, and what it logged."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.lines: list[Any] = []
        self.board = HealthBoard()

    def serve(
        self, arities: Arities | None = None, on_stop: Any = (), **settings: Any
    ) -> LocalServer:
        capture = LogCapture()
        capture.entries = self.lines
        log: structlog.stdlib.BoundLogger = structlog.wrap_logger(
            logging.getLogger("captured"),
            processors=[structlog.stdlib.add_log_level, capture],
            wrapper_class=structlog.stdlib.BoundLogger,
        )
        tier = Tier([(arities or Arities()).registration()], self.board, on_stop)
        server = LocalServer(tier, replace(SETTINGS, **settings), log)
        server.start()
        self._stack.callback(self.board.stop)
        return server

    def channel(self, server: LocalServer, **settings: Any) -> grpc.Channel:
        return self._stack.enter_context(
            open_channel("inproc:it", ChannelSettings(**settings), in_process={"it": server})
        )

    def stub(self, arities: Arities | None = None, **settings: Any) -> AritiesStub:
        return AritiesStub(self.channel(self.serve(arities, **settings)))

    def bare(self, server: LocalServer) -> AritiesStub:
        return AritiesStub(self._stack.enter_context(InprocChannel(server)))

    def rpc_line(self) -> Any:
        (line,) = eventually(lambda: [line for line in self.lines if line["event"] == "rpc"])
        return line


@pytest.fixture
def local() -> Iterator[Local]:
    with ExitStack() as stack:
        yield Local(stack)


class Handed(Arities):
    """Keeps what it was handed, and answers with what a test says."""

    def __init__(self, answer: Callable[[StringValue], Any] = lambda given: given) -> None:
        super().__init__()
        self.given: list[StringValue] = []
        self._answered = answer

    def unary_unary(self, request: StringValue, context: RpcContext) -> Any:
        self.given.append(request)
        return self._answered(request)


@pytest.mark.parametrize("method", METHODS)
def test_every_arity_answers_in_the_caller_s_thread(local: Local, method: str) -> None:
    threads: set[int] = set()

    def answer(text: str, _context: RpcContext) -> str:
        threads.add(threading.get_ident())
        return text

    assert set(local.stub(Arities(answer)).call(method, "x")) == {"x"}
    assert threads == {threading.get_ident()}


def test_the_messages_themselves_are_handed_over(local: Local) -> None:
    arities = Handed()
    call = AritiesStub(local.channel(local.serve(arities))).unary_unary_call
    request = StringValue(value="x")
    assert call(request) is request
    assert arities.given[0] is request
    answer, rpc = call.with_call(request)
    assert answer is request
    assert (rpc.code(), rpc.details()) == (grpc.StatusCode.OK, "")


@pytest.mark.parametrize("answer", [lambda given: given, StringValue.SerializeToString])
@pytest.mark.parametrize("serialize", [None, StringValue.SerializeToString])
@pytest.mark.parametrize("deserialize", [None, StringValue.FromString])
def test_bytes_and_messages_meet_on_either_side(
    local: Local, answer: Any, serialize: Any, deserialize: Any
) -> None:
    message = StringValue(value="x")
    channel = local.channel(local.serve(Handed(answer)))
    call = channel.unary_unary(f"/{SERVICE}/UnaryUnary", serialize, deserialize)
    given: Any = message if serialize else message.SerializeToString()
    wanted = message if deserialize else message.SerializeToString()
    assert call(given) == wanted


def test_a_handler_without_codecs_gets_and_gives_bytes(local: Local) -> None:
    seen: list[Any] = []

    class Forwarding(Arities):
        def _add(self, server: grpc.Server) -> None:
            def answer(request: bytes, _context: RpcContext) -> bytes:
                seen.append(request)
                return request

            handler: Any = grpc.unary_unary_rpc_method_handler(answer)
            server.add_registered_method_handlers(SERVICE, {"UnaryUnary": handler})

    assert local.stub(Forwarding()).unary_unary("x") == "x"
    assert seen == [StringValue(value="x").SerializeToString()]


@pytest.mark.parametrize("answer", ["text", object(), b"\xff\xff\xff"])
def test_an_answer_that_is_no_such_message_is_internal(local: Local, answer: Any) -> None:
    stub = AritiesStub(local.channel(local.serve(Handed(lambda _given: answer))))
    with pytest.raises(AppError) as caught:
        stub.unary_unary("x")
    assert caught.value.kind is Kind.INTERNAL


def test_actor_request_id_and_deadline_arrive(local: Local) -> None:
    contexts: list[RpcContext] = []

    def answer(text: str, context: RpcContext) -> str:
        contexts.append(context)
        inner = current_call()
        assert inner is context.call
        return text

    stub = local.stub(Arities(answer))
    with call_scope(Call(ACTOR, "r-1", Deadline.after(10))) as outer:
        stub.unary_unary("x")
        assert current_call() is outer
    (context,) = contexts
    assert (context.actor, context.request_id) == (ACTOR, "r-1")
    assert 5 < context.deadline.remaining() < 10
    assert (local.rpc_line()["actor"], local.rpc_line()["code"]) == ("u-1", "OK")


@pytest.mark.parametrize("method", METHODS)
def test_errors_arrive_whole(local: Local, method: str) -> None:
    def fails(_text: str, _context: RpcContext) -> str:
        raise AppError(
            Kind.CONFLICT,
            GENERAL_CODES[Kind.CONFLICT],
            "Taken.",
            field_errors={"name": ["x"]},
            retry_after=2,
            left=3,
        )

    with pytest.raises(AppError) as caught:
        local.stub(Arities(fails)).call(method, "x")
    error = caught.value
    assert (error.kind, error.message) == (Kind.CONFLICT, "Taken.")
    assert (error.field_errors, error.retry_after) == ({"name": ("x",)}, 2.0)
    assert error.metadata == {"left": "3"}
    assert isinstance(error.__cause__, grpc.RpcError)


@pytest.mark.parametrize("method", METHODS)
def test_a_crash_tells_nothing(local: Local, method: str) -> None:
    def crashes(_text: str, _context: RpcContext) -> str:
        raise RuntimeError("secret")

    with pytest.raises(AppError) as caught:
        local.stub(Arities(crashes)).call(method, "x")
    assert (caught.value.kind, caught.value.message) == (Kind.INTERNAL, "Internal error.")
    assert isinstance(local.rpc_line()["exc_info"], RuntimeError)


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_method_is_unimplemented(local: Local, method: str) -> None:
    stub = AritiesStub(local._stack.enter_context(InprocChannel(local.serve())), "test.v1.None")
    with pytest.raises(grpc.RpcError) as caught:
        stub.call(method, "x")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("method", METHODS)
def test_an_answer_that_comes_too_late_is_none(local: Local, method: str) -> None:
    def slow(text: str, context: RpcContext) -> str:
        over = threading.Event()
        assert context.add_callback(over.set)
        assert over.wait(10)
        assert not context.is_active()
        return text

    with pytest.raises(AppError) as caught:
        local.stub(Arities(slow)).call(method, "x", timeout=0.05)
    assert caught.value.kind is Kind.DEADLINE
    assert local.rpc_line()["code"] == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("method", ["UnaryStream", "StreamStream"])
def test_a_stream_delivers_what_came_before_it_failed(local: Local, method: str) -> None:
    def midway(_given: Any, _context: RpcContext) -> Iterator[str]:
        yield "one"
        raise AppError(Kind.MISSING, "NOT_FOUND", "Gone.")

    stub = local.stub(Arities(behaviours={method: midway}))
    call: Any = stub.unary_stream_call if method == "UnaryStream" else stub.stream_stream_call
    answers = call(StringValue() if method == "UnaryStream" else iter([StringValue()]))
    assert next(answers).value == "one"
    with pytest.raises(AppError) as caught:
        next(answers)
    assert caught.value.kind is Kind.MISSING
    assert answers.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(AppError):
        next(answers)


def endless(closed: list[Call | None]) -> Arities:
    def forever(_given: Any, _context: RpcContext) -> Iterator[str]:
        try:
            while True:
                yield "x"
        finally:
            closed.append(current_call())

    return Arities(behaviours={"UnaryStream": forever})


def test_cancelling_a_stream_closes_the_handler_s_iterator(local: Local) -> None:
    closed: list[Call | None] = []
    answers = local.stub(endless(closed)).unary_stream_call(StringValue())
    next(answers)
    assert answers.is_active()
    assert answers.cancel()
    assert closed[0] is not None
    assert not answers.is_active()
    assert not answers.cancel()
    assert answers.code() is grpc.StatusCode.CANCELLED
    with pytest.raises(AppError):
        next(answers)
    assert local.rpc_line()["code"] == "CANCELLED"


def test_a_stream_that_is_dropped_ends(local: Local) -> None:
    closed: list[Call | None] = []
    answers = local.stub(endless(closed)).unary_stream_call(StringValue())
    next(answers)
    del answers
    gc.collect()
    assert closed


def test_a_stream_that_is_cancelled_in_the_middle_of_a_step_ends_with_it(local: Local) -> None:
    entered = threading.Event()
    closed: list[bool] = []

    def waits(_given: Any, context: RpcContext) -> Iterator[str]:
        try:
            entered.set()
            eventually(lambda: not context.is_active())
            yield "too late"
        finally:
            closed.append(True)

    answers = local.stub(Arities(behaviours={"UnaryStream": waits})).unary_stream_call(
        StringValue()
    )
    thread = threading.Thread(target=lambda: (entered.wait(10), answers.cancel()))
    thread.start()
    with pytest.raises(AppError):
        next(answers)
    thread.join(10)
    assert closed == [True]


def test_a_future_runs_beside_its_caller(local: Local) -> None:
    release = threading.Event()

    def waits(text: str, _context: RpcContext) -> str:
        assert release.wait(10)
        return text

    stub = local.stub(Arities(waits))
    futures = [stub.unary_unary_call.future(StringValue(value=str(n))) for n in range(4)]
    seen: list[Any] = []
    futures[0].add_done_callback(seen.append)
    assert futures[0].running()
    assert not futures[0].done()
    with pytest.raises(grpc.FutureTimeoutError):
        futures[0].result(timeout=0)
    release.set()
    assert [future.result(10).value for future in futures] == ["0", "1", "2", "3"]
    assert futures[0].exception() is None
    assert futures[0].traceback() is None
    assert seen == [futures[0]]
    futures[0].add_done_callback(seen.append)
    assert len(seen) == 2


def test_a_future_that_fails_raises(local: Local) -> None:
    def fails(_text: str, _context: RpcContext) -> str:
        raise AppError(Kind.STALE, "PRECONDITION_FAILED", "Changed.")

    future = local.stub(Arities(fails)).stream_unary_call.future(messages(["x"]))
    with pytest.raises(AppError) as caught:
        future.result(10)
    assert caught.value.kind is Kind.STALE
    assert future.code() is grpc.StatusCode.ABORTED
    assert future.traceback() is not None
    assert dict(future.trailing_metadata())


def test_a_future_s_caller_waits_no_longer_than_its_deadline(local: Local) -> None:
    release = threading.Event()

    def waits(text: str, _context: RpcContext) -> str:
        assert release.wait(10)
        return text

    stub = local.stub(Arities(waits))
    with pytest.raises(AppError) as caught:
        stub.unary_unary_call.future(StringValue(), timeout=0.05).result(10)
    assert caught.value.kind is Kind.DEADLINE
    release.set()


def test_a_cancelled_future_is_over_and_its_handler_can_see_it(local: Local) -> None:
    entered = threading.Event()

    def reads(texts: Iterator[str], context: RpcContext) -> str:
        entered.set()
        eventually(lambda: not context.is_active())
        return "".join(texts)

    stub = local.stub(Arities(behaviours={"StreamUnary": reads}))
    future = stub.stream_unary_call.future(messages(["x"]))
    assert entered.wait(10)
    assert future.cancel()
    assert future.cancelled()
    assert not future.cancel()
    with pytest.raises(grpc.FutureCancelledError):
        future.result(10)
    line = local.rpc_line()
    assert (line["code"], line["log_level"]) == ("CANCELLED", "info")


def test_requests_that_end_with_their_call_do_not_pass_for_all_of_them(local: Local) -> None:
    calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
    read: list[str] = []

    def requests() -> Iterator[StringValue]:
        yield StringValue(value="x")
        assert calls.get(timeout=10).cancel()

    def reads(texts: Iterator[str], _context: RpcContext) -> str:
        read.extend(texts)
        read.append("all")
        return ""

    stub = local.stub(Arities(behaviours={"StreamUnary": reads}))
    calls.put(stub.stream_unary_call.future(requests()))
    assert local.rpc_line()["code"] == "CANCELLED"
    assert read == ["x"]


@pytest.mark.parametrize("method", ["StreamUnary", "StreamStream"])
def test_requests_that_cannot_be_made_end_the_call(local: Local, method: str) -> None:
    def broken() -> Iterator[StringValue]:
        yield StringValue(value="x")
        raise RuntimeError("of the caller's own")

    stub = local.bare(local.serve())
    call: dict[str, Callable[[], object]] = {
        "StreamUnary": lambda: stub.stream_unary_call(broken()),
        "StreamStream": lambda: list(stub.stream_stream_call(broken())),
    }
    with pytest.raises(grpc.RpcError) as caught:
        call[method]()
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert local.rpc_line()["code"] == "CANCELLED"


def test_more_calls_than_the_server_takes_are_shed_as_overload(local: Local) -> None:
    server = local.serve(max_concurrent_rpcs=1)
    stub = AritiesStub(local.channel(server))
    answers = stub.stream_stream_call(messages(["x", "y"]))
    next(answers)
    with pytest.raises(AppError) as caught:
        stub.unary_unary("one too many")
    assert (caught.value.kind, caught.value.retry_after) == (Kind.UNAVAILABLE, 1.0)
    assert len(list(answers)) == 1
    assert stub.unary_unary("x") == "x"


def test_a_stopped_server_is_unavailable_and_gives_back_what_it_holds(local: Local) -> None:
    closed: list[str] = []
    server = local.serve(on_stop=[lambda: closed.append("pool"), lambda: closed.append("file")])
    stub = AritiesStub(local.channel(server))
    assert stub.unary_unary_call.future(StringValue(value="x")).result(10).value == "x"
    server.stop()
    with pytest.raises(AppError) as caught:
        stub.unary_unary("x")
    assert (caught.value.kind, caught.value.code) == (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    with pytest.raises(AppError):
        stub.unary_unary_call.future(StringValue(value="x")).result(10)
    assert closed == ["pool", "file"]
    assert not local.board.is_serving()


def test_a_stopping_server_waits_for_what_is_in_flight(local: Local) -> None:
    release, ended = threading.Event(), threading.Event()
    entered = threading.Event()

    def waits(text: str, _context: RpcContext) -> str:
        entered.set()
        assert release.wait(10)
        return text

    server = local.serve(Arities(waits), on_stop=[ended.set])
    future = AritiesStub(local.channel(server)).unary_unary_call.future(StringValue(value="x"))
    assert entered.wait(10)
    thread = threading.Thread(target=server.stop, args=(10,))
    thread.start()
    assert not ended.is_set()
    release.set()
    thread.join(10)
    assert ended.is_set()
    assert future.result(10).value == "x"


def test_health_is_asked_and_watched(local: Local) -> None:
    server = local.serve()
    stub = health_pb2_grpc.HealthStub(local.channel(server))
    assert stub.Check(health_pb2.HealthCheckRequest(service=SERVICE)).status == SERVING
    bare = health_pb2_grpc.HealthStub(local._stack.enter_context(InprocChannel(server)))
    with pytest.raises(grpc.RpcError) as caught:
        bare.Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "No such name."
    watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=30)
    assert next(watch).status == SERVING
    local.board.set("", serving=False)
    assert next(watch).status == NOT_SERVING
    watch.cancel()
    late = stub.Watch(health_pb2.HealthCheckRequest(), timeout=0.05)
    next(late)
    with pytest.raises(AppError) as over:
        next(late)
    assert over.value.kind is Kind.DEADLINE


def test_a_closed_channel_refuses_and_another_goes_on(local: Local) -> None:
    server = local.serve()
    with InprocChannel(server) as channel:
        stub = AritiesStub(channel)
        assert stub.unary_unary("x") == "x"
    with pytest.raises(ValueError, match="closed"):
        stub.unary_unary("x")
    assert local.bare(server).unary_unary("x") == "x"


def test_the_channel_is_ready_at_once(local: Local) -> None:
    channel = InprocChannel(local.serve())
    grpc.channel_ready_future(channel).result(timeout=5)
