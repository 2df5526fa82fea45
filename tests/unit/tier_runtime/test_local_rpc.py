from __future__ import annotations

import math
import threading

import grpc
import pytest

from tests.fakes.clock import FakeClock
from tier_runtime.errors import Kind
from tier_runtime.local_rpc import LocalAbort, LocalContext, LocalRpcError
from tier_runtime.status import from_rpc_error


def test_a_context_without_a_deadline_has_time_for_ever() -> None:
    context = LocalContext([("a", "1")], peer="somebody")
    assert context.time_remaining() == math.inf
    assert context.is_active()
    assert context.invocation_metadata() == (("a", "1"),)
    assert context.peer() == "somebody"
    assert (context.auth_context(), context.peer_identities()) == ({}, None)
    assert context.peer_identity_key() is None


def test_a_context_is_active_while_there_is_time_and_a_caller() -> None:
    clock, there = FakeClock(), [True]
    context = LocalContext((), 2.0, is_caller_there=lambda: there[0], clock=clock.monotonic)
    clock.advance(0.5)
    assert context.time_remaining() == 1.5
    assert context.is_active()
    there[0] = False
    assert not context.is_active()
    there[0] = True
    clock.advance(1.5)
    assert not context.is_active()
    failure = context.failure()
    assert failure is not None
    assert failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_who_wants_to_be_told_of_the_end_is_told_once() -> None:
    context, told = LocalContext((), 60.0), list[str]()
    assert context.add_callback(lambda: told.append("over"))
    context.end()
    context.end()
    assert told == ["over"]
    assert not context.add_callback(lambda: told.append("too late"))
    assert not context.is_active()
    assert not context.cancel()
    assert context.failure() is None


def test_the_end_of_the_time_is_told_by_itself() -> None:
    over = threading.Event()
    context = LocalContext((), 0.01)
    context.add_callback(over.set)
    assert over.wait(10)


def test_a_cancelled_context_says_so() -> None:
    context = LocalContext()
    assert context.cancel()
    failure = context.failure()
    assert failure is not None
    assert failure.cancelled()


def test_aborting_raises_what_the_servicer_said() -> None:
    context = LocalContext()
    context.set_trailing_metadata((("k", "v"),))
    with pytest.raises(LocalAbort) as caught:
        context.abort(grpc.StatusCode.ABORTED, "no")
    assert caught.value.code is grpc.StatusCode.ABORTED
    assert caught.value.trailing_metadata == (("k", "v"),)
    assert context.trailing_metadata() == (("k", "v"),)


def test_what_a_servicer_sets_is_kept() -> None:
    context = LocalContext()
    context.send_initial_metadata((("i", "1"),))
    context.set_code(grpc.StatusCode.NOT_FOUND)
    context.set_details("none")
    context.set_compression(grpc.Compression.Gzip)
    context.disable_next_message_compression()
    assert context.initial_metadata() == (("i", "1"),)
    assert (context.code, context.details) == (grpc.StatusCode.NOT_FOUND, "none")


def test_a_failed_rpc_has_the_shape_of_grpc_s_own() -> None:
    error = LocalRpcError(grpc.StatusCode.UNAVAILABLE, "gone", (("k", b"v"),))
    assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "gone")
    assert (error.trailing_metadata(), error.initial_metadata()) == ((("k", b"v"),), ())
    assert (error.done(), error.running(), error.cancelled()) == (True, False, False)
    assert (error.is_active(), error.cancel(), error.time_remaining()) == (False, False, 0.0)
    assert not error.add_callback(print)
    assert error.exception() is error
    assert error.traceback() is None
    assert str(error) == "UNAVAILABLE: gone"
    told: list[object] = []
    error.add_done_callback(told.append)
    assert told == [error]
    with pytest.raises(LocalRpcError) as caught:
        error.result()
    assert caught.value is error
    assert from_rpc_error(error).kind is Kind.UNAVAILABLE
