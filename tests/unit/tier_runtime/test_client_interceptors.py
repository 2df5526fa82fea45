from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from tests.fakes.clock import FakeClock
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.client_interceptors import CallClientInterceptor, CallDetails
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

INTERCEPTOR = CallClientInterceptor(default_deadline_seconds=5.0, hop_margin_seconds=0.25)


def given(timeout: float | None = None, metadata: Any = None) -> CallDetails:
    return CallDetails("/a.B/C", timeout, metadata, None, True, grpc.Compression.Gzip)


def sent(details: CallDetails) -> CallDetails:
    """Return the details with which the RPC leaves."""
    seen: list[Any] = []

    def continuation(new: grpc.ClientCallDetails, _request: str) -> Any:
        seen.append(new)

    INTERCEPTOR.intercept_unary_unary(continuation, details, "request")
    (one,) = seen
    assert isinstance(one, CallDetails)
    return one


def call(seconds: float, clock: FakeClock | None = None) -> Call:
    clock = clock or FakeClock()
    return Call(Actor("u-1"), "r-1", Deadline.after(seconds, clock.monotonic))


def test_outside_of_a_call_an_rpc_gets_the_default_deadline_and_no_metadata() -> None:
    assert sent(given()) == CallDetails("/a.B/C", 5.0, (), None, True, grpc.Compression.Gzip)


def test_a_timeout_of_the_stub_wins_over_the_default() -> None:
    assert sent(given(timeout=9.0)).timeout == 9.0


def test_inside_a_call_an_rpc_gets_what_is_left_minus_the_margin() -> None:
    clock = FakeClock()
    with call_scope(call(2.0, clock)):
        clock.advance(0.5)
        assert sent(given()).timeout == 1.25


@pytest.mark.parametrize(("timeout", "sent_timeout"), [(0.5, 0.5), (60.0, 1.75)])
def test_the_shorter_of_call_and_stub_wins(timeout: float, sent_timeout: float) -> None:
    with call_scope(call(2.0)):
        assert sent(given(timeout)).timeout == sent_timeout


def test_the_call_s_metadata_is_added_to_the_stub_s() -> None:
    with call_scope(call(2.0)):
        metadata = dict(sent(given(metadata=[("mine", "1")])).metadata or ())
    assert metadata["mine"] == "1"
    assert metadata["x-request-id"] == "r-1"
    assert "arcana-actor-bin" in metadata


@pytest.mark.parametrize("seconds", [0.25, 0.0, -1.0])
def test_an_rpc_that_would_come_too_late_is_not_sent(seconds: float) -> None:
    with call_scope(call(seconds)), pytest.raises(AppError) as caught:
        sent(given())
    assert caught.value.kind is Kind.DEADLINE


class FailedRpc(grpc.RpcError):
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def trailing_metadata(self) -> tuple[()]:
        return ()


class InnerCall:
    """Stands for gRPC's call object: answers every method with the method's name."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def result(self, _timeout: float | None) -> str:
        if self._error:
            raise self._error
        return "answer"

    def exception(self, _timeout: float | None) -> Exception | None:
        return self._error

    def traceback(self, _timeout: float | None) -> str:
        return "traceback"

    def add_done_callback(self, fn: Any) -> None:
        fn(self)

    def add_callback(self, _callback: Any) -> str:
        return "add_callback"

    def __next__(self) -> str:
        if self._error:
            raise self._error
        raise StopIteration

    def __getattr__(self, name: str) -> Any:
        return lambda: name


def future(inner: InnerCall) -> Any:
    def continuation(_details: grpc.ClientCallDetails, _requests: Iterator[str]) -> Any:
        return inner

    return INTERCEPTOR.intercept_stream_unary(continuation, given(), iter("x"))


def stream(inner: InnerCall) -> Any:
    def continuation(_details: grpc.ClientCallDetails, _requests: Iterator[str]) -> Any:
        return inner

    return INTERCEPTOR.intercept_stream_stream(continuation, given(), iter("x"))


SHARED = (
    "cancel",
    "is_active",
    "time_remaining",
    "code",
    "details",
    "initial_metadata",
    "trailing_metadata",
)


@pytest.mark.parametrize("method", [*SHARED, "cancelled", "done", "running"])
def test_a_future_passes_on_what_it_does_not_map(method: str) -> None:
    assert getattr(future(InnerCall()), method)() == method


@pytest.mark.parametrize("method", SHARED)
def test_a_stream_passes_on_what_it_does_not_map(method: str) -> None:
    assert getattr(stream(InnerCall()), method)() == method


def test_callbacks_are_passed_on_and_get_the_mapped_future() -> None:
    seen: list[Any] = []
    one = future(InnerCall(FailedRpc()))
    one.add_done_callback(seen.append)
    assert seen == [one]
    assert one.add_callback(print) == "add_callback"
    assert stream(InnerCall()).add_callback(print) == "add_callback"
    assert one.traceback() == "traceback"


def test_a_future_that_succeeds_gives_its_answer() -> None:
    assert future(InnerCall()).result() == "answer"
    assert future(InnerCall()).exception() is None


def test_a_future_that_fails_raises_and_returns_an_app_error() -> None:
    failure = FailedRpc()
    one = future(InnerCall(failure))
    with pytest.raises(AppError) as caught:
        one.result()
    assert caught.value.kind is Kind.UNAVAILABLE
    assert caught.value.__cause__ is failure
    assert one.exception().kind is Kind.UNAVAILABLE


def test_what_is_no_rpc_error_stays_what_it_is() -> None:
    one = future(InnerCall(grpc.FutureCancelledError()))
    with pytest.raises(grpc.FutureCancelledError):
        one.result()
    assert isinstance(one.exception(), grpc.FutureCancelledError)


def test_a_stream_that_fails_raises_an_app_error() -> None:
    with pytest.raises(AppError) as caught:
        list(stream(InnerCall(FailedRpc())))
    assert caught.value.kind is Kind.UNAVAILABLE
    assert list(stream(InnerCall())) == []
