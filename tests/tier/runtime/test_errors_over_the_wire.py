from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from tests.stores.waiting import eventually
from tests.tier.runtime.arities import METHODS, SERVICE, Arities, AritiesStub
from tests.tier.runtime.conftest import Connect, Serve
from tier_runtime.catalogue import GENERAL_CODES
from tier_runtime.context import RpcContext
from tier_runtime.errors import PEER_NOT_ALLOWED, AppError, Kind
from tier_runtime.status import STATUS_CODES


def failing(text: str, _context: RpcContext) -> str:
    if text == "crash":
        raise RuntimeError("SELECT secret FROM users")
    if text == "bare rpc error":
        raise grpc.RpcError("secret")
    kind = Kind(text)
    raise AppError(
        kind,
        GENERAL_CODES[kind],
        "A message.",
        field_errors={"name": ["Missing."]},
        retry_after=2.0,
        available=3,
    )


def raised_by(stub: AritiesStub, method: str, text: str) -> AppError:
    with pytest.raises(AppError) as caught:
        stub.call(method, text)
    return caught.value


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.INTERNAL])
def test_every_kind_of_error_crosses_every_arity_whole(
    serve: Serve, stub_of: Connect, method: str, kind: Kind
) -> None:
    error = raised_by(stub_of(serve(Arities(failing))), method, kind.value)
    assert (error.kind, error.code) == (kind, GENERAL_CODES[kind])
    assert error.message == "A message."
    assert error.field_errors == {"name": ("Missing.",)}
    assert error.retry_after == 2.0
    assert error.metadata == {"available": "3"}


def test_that_a_tier_below_lets_nobody_in_is_no_fault_of_the_caller(
    serve: Serve, stub_of: Connect, log_lines: list[Any]
) -> None:
    def turned_away(_text: str, _context: RpcContext) -> str:
        raise AppError(Kind.FORBIDDEN, PEER_NOT_ALLOWED, "Not you.")

    error = raised_by(stub_of(serve(Arities(turned_away))), "UnaryUnary", "x")
    assert (error.kind, error.code) == (Kind.INTERNAL, "INTERNAL_ERROR")
    told = [line for line in log_lines if line["event"] == "rpc"]
    assert [line["log_level"] for line in told] == ["error"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("text", ["crash", "internal", "bare rpc error"])
def test_no_text_of_an_exception_leaks(
    serve: Serve, bare_stub_of: Connect, log_lines: list[Any], method: str, text: str
) -> None:
    stub = bare_stub_of(serve(Arities(failing)))
    with pytest.raises(grpc.RpcError) as caught:
        stub.call(method, text)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.INTERNAL
    assert error.details() == "Internal error."
    assert b"secret" not in b"".join(
        value if isinstance(value, bytes) else value.encode()
        for _, value in error.trailing_metadata()
    )
    (line,) = eventually(lambda: [line for line in log_lines if line["event"] == "rpc"])
    assert line["level"] == "error"
    assert isinstance(line["exc_info"], Exception)


@pytest.mark.parametrize("method", METHODS)
def test_a_future_and_a_stream_raise_app_errors_too(
    serve: Serve, stub_of: Connect, method: str
) -> None:
    stub = stub_of(serve(Arities(failing)))
    message = StringValue(value=Kind.CONFLICT.value)
    wait: dict[str, Callable[[], object]] = {
        "UnaryUnary": lambda: stub.unary_unary_call.future(message).result(),
        "StreamUnary": lambda: stub.stream_unary_call.future(iter([message])).result(),
        "UnaryStream": lambda: next(iter(stub.unary_stream_call(message))),
        "StreamStream": lambda: next(iter(stub.stream_stream_call(iter([message])))),
    }
    with pytest.raises(AppError) as caught:
        wait[method]()
    assert caught.value.kind is Kind.CONFLICT
    assert isinstance(caught.value.__cause__, grpc.RpcError)


@pytest.mark.parametrize("method", ["UnaryStream", "StreamStream"])
@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (ValueError("secret"), Kind.INTERNAL),
        (AppError(Kind.MISSING, "NOT_FOUND", "Gone."), Kind.MISSING),
    ],
    ids=["crash", "app error"],
)
def test_a_stream_that_fails_midway_delivers_what_came_before(
    serve: Serve, stub_of: Connect, method: str, failure: Exception, kind: Kind
) -> None:
    def midway(_given: Any, _context: RpcContext) -> Iterator[str]:
        yield "one"
        yield "two"
        raise failure

    stub = stub_of(serve(Arities(behaviours={method: midway})))
    call: Any = stub.unary_stream_call if method == "UnaryStream" else stub.stream_stream_call
    request: Any = StringValue() if method == "UnaryStream" else iter([StringValue()])
    answers = iter(call(request))
    assert [next(answers).value, next(answers).value] == ["one", "two"]
    with pytest.raises(AppError) as caught:
        next(answers)
    assert caught.value.kind is kind
    assert "secret" not in caught.value.message


def test_a_stop_iteration_of_a_handler_is_a_crash_and_not_an_end(
    serve: Serve, stub_of: Connect
) -> None:
    def stops(_text: str, _context: RpcContext) -> Iterator[str]:
        raise StopIteration

    stub = stub_of(serve(Arities(behaviours={"UnaryUnary": stops})))
    assert raised_by(stub, "UnaryUnary", "x").kind is Kind.INTERNAL


def test_an_answer_that_cannot_be_serialized_leaks_nothing(serve: Serve, stub_of: Connect) -> None:
    class Wrong(Arities):
        def unary_unary(self, request: StringValue, context: RpcContext) -> StringValue:
            return "secret"  # type: ignore[return-value] # the fault under test

    error = raised_by(stub_of(serve(Wrong())), "UnaryUnary", "x")
    assert error.kind is Kind.INTERNAL
    assert "secret" not in str(error.__cause__)


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_method_stays_unimplemented(
    serve: Serve, bare_stub_of: Connect, method: str
) -> None:
    server = serve()
    with grpc.insecure_channel(server.address) as channel:
        stub = AritiesStub(channel, service=f"{SERVICE}Else")
        with pytest.raises(grpc.RpcError) as caught:
            stub.call(method, "x")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("method", METHODS)
def test_details_too_large_for_grpc_still_arrive_with_their_code(
    serve: Serve, stub_of: Connect, method: str
) -> None:
    def verbose(_text: str, _context: RpcContext) -> str:
        fields = {f"items.{n}.quantity": ["wrong " * 20] for n in range(1000)}
        raise AppError(Kind.INVALID, "VALIDATION_FAILED", "x" * 50_000, field_errors=fields)

    error = raised_by(stub_of(serve(Arities(verbose))), method, "x")
    assert (error.kind, error.code) == (Kind.INVALID, "VALIDATION_FAILED")
    assert error.field_errors


@pytest.mark.parametrize("method", METHODS)
def test_a_peer_that_is_not_there_is_unavailable(
    stub_of: Connect, serve: Serve, method: str
) -> None:
    server = serve()
    stub = stub_of(server)
    server.stop()
    error = raised_by(stub, method, "x")
    assert (error.kind, error.code) == (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")


@pytest.mark.parametrize("status", STATUS_CODES.values(), ids=lambda status: status.name)
def test_a_servicer_that_aborts_itself_is_a_fault_of_ours(
    serve: Serve, stub_of: Connect, status: grpc.StatusCode
) -> None:
    def aborts(_text: str, context: RpcContext) -> str:
        context.abort(status, "secret")

    error = raised_by(stub_of(serve(Arities(aborts))), "UnaryUnary", "x")
    assert (error.kind, error.message) == (Kind.INTERNAL, "Internal error.")
