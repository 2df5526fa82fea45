from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from tests.stores.waiting import eventually
from tests.tier.transports.asking import DOWN, UNARY, UP, ask, new_note, recall, request
from tests.tier.transports.probe_contract import ProbeStub
from tier_runtime.errors import AppError, Kind

LIMIT_SECONDS = 10.0


def wait_begun(probe: ProbeStub, note: str) -> None:
    eventually(lambda: recall(probe, note).begun, LIMIT_SECONDS, "the handler runs")


def wait_gone(probe: ProbeStub, note: str) -> None:
    eventually(lambda: recall(probe, note).gone, LIMIT_SECONDS, "the handler sees it")
    eventually(lambda: recall(probe, note).callbacks, LIMIT_SECONDS, "its callback is called")


class Held:
    """Requests that go on until the test lets them end."""

    def __init__(self, *first: Any) -> None:
        self._first = first
        self.released = threading.Event()

    def __iter__(self) -> Iterator[Any]:
        yield from self._first
        self.released.wait(LIMIT_SECONDS)


@pytest.mark.parametrize("arity", [UNARY, UP])
def test_a_cancelled_future_ends_at_once_and_its_handler_sees_it(
    probe: ProbeStub, arity: str
) -> None:
    note = new_note()
    asked = request(note=note, wait="WAIT_UNTIL_GONE")
    requests = Held(asked)
    given = asked if arity == UNARY else iter(requests)
    done: list[Any] = []
    future = getattr(probe, arity).future(given, timeout=LIMIT_SECONDS)
    future.add_done_callback(done.append)
    wait_begun(probe, note)
    assert future.running()
    assert future.cancel()
    eventually(lambda: future.cancelled() and future.done())
    with pytest.raises(grpc.FutureCancelledError):
        future.result(timeout=1)
    with pytest.raises(grpc.FutureCancelledError):
        future.exception(timeout=1)
    assert future.code() is grpc.StatusCode.CANCELLED
    requests.released.set()
    wait_gone(probe, note)
    eventually(lambda: done == [future])


def test_a_finished_future_cannot_be_cancelled(probe: ProbeStub) -> None:
    future = probe.Answer.future(request({"text": "x"}), timeout=LIMIT_SECONDS)
    assert future.result(timeout=LIMIT_SECONDS).payload.text == "x"
    future.cancel()
    assert future.done()
    assert not future.cancelled()
    assert future.code() is grpc.StatusCode.OK
    assert future.result(timeout=1).payload.text == "x"


@contextmanager
def cancelled_while_waiting(probe: ProbeStub, call: Any, note: str) -> Iterator[None]:
    """Cancel from another thread as soon as the handler waits; this one reads meanwhile."""

    def cancel() -> None:
        eventually(lambda: recall(probe, note).waiting, LIMIT_SECONDS, "the handler waits")
        call.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_a_stream_cancelled_while_its_next_answer_is_awaited_ends(probe: ProbeStub) -> None:
    note = new_note()
    asked = request(note=note, answers=2, wait="WAIT_UNTIL_GONE")
    answers = probe.Down(asked, timeout=LIMIT_SECONDS)
    assert [next(answers).received, next(answers).received] == [1, 2]
    with cancelled_while_waiting(probe, answers, note), pytest.raises(AppError) as caught:
        next(answers)
    # As gRPC tells a stream's reader; who cancels does not read on.
    assert (caught.value.kind, caught.value.code) == (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    assert answers.code() is grpc.StatusCode.CANCELLED
    wait_gone(probe, note)


def test_a_stream_cancelled_between_two_answers_ends(probe: ProbeStub) -> None:
    note = new_note()
    asked = request(note=note, answers=1000, padding=2000)
    answers = probe.Down(asked, timeout=LIMIT_SECONDS)
    assert next(answers).received == 1
    assert answers.cancel()
    with pytest.raises(AppError):
        list(answers)
    eventually(lambda: recall(probe, note).callbacks, LIMIT_SECONDS, "its callback is called")


def test_a_stream_that_is_dropped_ends(probe: ProbeStub) -> None:
    note = new_note()
    answers = probe.Down(
        request(note=note, answers=1, wait="WAIT_UNTIL_GONE"), timeout=LIMIT_SECONDS
    )
    next(answers)
    del answers
    # gRPC's own interceptors tie its calls into rings.
    gc.collect()
    eventually(lambda: recall(probe, note).callbacks, LIMIT_SECONDS, "its callback is called")


@pytest.mark.parametrize("wire", ["grpc", "inproc"], indirect=True)
def test_a_conversation_cancelled_by_its_caller_ends(probe: ProbeStub) -> None:
    note = new_note()
    requests = Held(request(note=note), request(note=note, wait="WAIT_UNTIL_GONE"))
    answers = probe.Both(iter(requests), timeout=LIMIT_SECONDS)
    assert next(answers).received == 1
    with cancelled_while_waiting(probe, answers, note), pytest.raises(AppError):
        next(answers)
    requests.released.set()
    wait_gone(probe, note)


@pytest.mark.parametrize("arity", [UNARY, DOWN, UP])
def test_callbacks_are_called_also_when_all_is_well(probe: ProbeStub, arity: str) -> None:
    note = new_note()
    ask(probe, arity, request(note=note, answers=2))
    eventually(lambda: recall(probe, note).callbacks == 1)


def test_a_failing_request_iterator_ends_the_call(probe: ProbeStub) -> None:
    note = new_note()

    def breaks() -> Iterator[Any]:
        yield request(note=note)
        # gRPC may cancel before it has sent what came first.
        wait_begun(probe, note)
        raise RuntimeError("secret")

    with pytest.raises(AppError) as caught:
        probe.Up(breaks(), timeout=LIMIT_SECONDS)
    assert "secret" not in caught.value.message
    eventually(lambda: recall(probe, note).callbacks, LIMIT_SECONDS, "its callback is called")
