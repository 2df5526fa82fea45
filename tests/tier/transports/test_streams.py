from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.tier.transports.asking import DOWN, UP, ask, ends, of_app_error, request
from tests.tier.transports.payloads import TEXT
from tests.tier.transports.probe_contract import ProbeStub
from tests.tier.transports.wires import Wire
from tier_runtime.catalogue import GENERAL_CODES
from tier_runtime.errors import AppError, Kind

FAILURE = {
    "kind": "conflict",
    "code": GENERAL_CODES[Kind.CONFLICT],
    "text": TEXT,
    "metadata": {"available": "3"},
    "retry_after_seconds": 2.0,
}
EXPECTED: tuple[object, ...] = (
    "conflict",
    GENERAL_CODES[Kind.CONFLICT],
    TEXT,
    {},
    2.0,
    {"available": "3"},
)


@pytest.mark.parametrize("count", [0, 1, 3, 500])
def test_all_answers_come_in_their_order(probe: ProbeStub, count: int) -> None:
    answers = ask(probe, DOWN, request({"text": TEXT}, answers=count))
    assert [answer.received for answer in answers] == list(range(1, count + 1))
    assert all(answer.payload.text == TEXT for answer in answers)


def test_large_answers_come_whole(probe: ProbeStub) -> None:
    answers = ask(probe, DOWN, request(answers=20, padding=100_000))
    assert [len(answer.padding) for answer in answers] == [100_000] * 20


@pytest.mark.parametrize("count", [0, 1, 3, 500])
def test_all_requests_arrive(probe: ProbeStub, count: int) -> None:
    sent = [request({"text": f"{number} {TEXT}"}) for number in range(count)]
    (answer,) = ask(probe, UP, *sent)
    assert answer.received == count
    assert answer.payload.text == (f"0 {TEXT}" if count else "")


@pytest.mark.parametrize("before", [0, 1, 3])
def test_a_stream_that_fails_delivers_what_came_before(probe: ProbeStub, before: int) -> None:
    answers = iter(probe.Down(request(answers=before, failure=FAILURE)))
    assert [next(answers).received for _ in range(before)] == list(range(1, before + 1))
    with pytest.raises(AppError) as caught:
        next(answers)
    assert of_app_error(caught.value) == EXPECTED


def test_a_stream_that_crashes_delivers_what_came_before_and_no_text(probe: ProbeStub) -> None:
    answers = iter(probe.Down(request(answers=2, failure={"kind": "crash", "text": "secret"})))
    assert [next(answers).received, next(answers).received] == [1, 2]
    with pytest.raises(AppError) as caught:
        next(answers)
    assert (caught.value.kind, caught.value.message) == (Kind.INTERNAL, "Internal error.")


def test_answers_come_while_the_handler_still_works(probe: ProbeStub) -> None:
    answers = probe.Down(request(answers=1, wait="WAIT_UNTIL_GONE"), timeout=10)
    assert next(answers).received == 1
    answers.cancel()


def test_an_answer_before_the_last_request_ends_the_call(probe: ProbeStub) -> None:
    """A refused upload is not sent to its end."""
    taken = 0

    def many() -> Iterator[Any]:
        nonlocal taken
        yield request(failure=FAILURE)
        while taken < 1_000_000:
            taken += 1
            yield request({"text": "x" * 10_000})

    with pytest.raises(AppError) as caught:
        probe.Up(many(), timeout=10)
    assert of_app_error(caught.value) == EXPECTED
    assert taken < 1_000_000


def test_requests_are_sent_as_they_come(probe: ProbeStub) -> None:
    """Nothing waits until the last request is known: the handler has the first one by then."""
    refused = threading.Event()

    def slow() -> Iterator[Any]:
        yield request(failure=FAILURE)
        refused.wait(5)

    def finish() -> None:
        assert ends(probe, UP, request(failure=FAILURE)) == EXPECTED
        refused.set()

    thread = threading.Thread(target=finish)
    thread.start()
    with pytest.raises(AppError) as caught:
        probe.Up(slow(), timeout=10)
    thread.join()
    assert of_app_error(caught.value) == EXPECTED


@pytest.mark.parametrize("wire", ["grpc", "inproc"], indirect=True)
def test_a_conversation_goes_back_and_forth(probe: ProbeStub) -> None:
    answered = threading.Semaphore(1)

    def one_by_one() -> Iterator[Any]:
        for number in range(3):
            assert answered.acquire(timeout=10)
            yield request({"int32_value": number})

    answers = probe.Both(one_by_one(), timeout=10)
    seen = []
    for answer in answers:
        seen.append((answer.received, answer.payload.int32_value))
        answered.release()
    assert seen == [(1, 0), (2, 1), (3, 2)]


@pytest.mark.parametrize("wire", ["grpc", "inproc"], indirect=True)
def test_a_conversation_can_fail_in_its_middle(probe: ProbeStub) -> None:
    sent = [request(), request(), request(failure=FAILURE), request()]
    answers = probe.Both(iter(sent), timeout=10)
    assert [next(answers).received, next(answers).received] == [1, 2]
    with pytest.raises(AppError) as caught:
        next(answers)
    assert of_app_error(caught.value) == EXPECTED


@pytest.mark.parametrize("wire", ["http"], indirect=True)
def test_a_conversation_over_rest_is_refused_in_clear_words(
    bare_probe: ProbeStub, wire: Wire
) -> None:
    code, details, _ = ends(bare_probe, "Both", request())
    assert getattr(code, "name", "") == "UNIMPLEMENTED"
    assert "stream" in str(details)
