from __future__ import annotations

import pytest

from benchmarks.callers import CallerThread
from benchmarks.load import check_answer
from benchmarks.worker import BenchmarkError

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\nLocation: /b2\r\n\r\n{"id": "a1"}'


@pytest.mark.parametrize("error", [KeyError("x"), StopIteration(), SystemExit(3), MemoryError()])
def test_whatever_ends_a_caller_fails_the_run(error: BaseException) -> None:
    def make() -> None:
        raise error

    thread = CallerThread(make, 0)
    thread.start()
    with pytest.raises(BenchmarkError, match="a call failed") as caught:
        thread.join()
    assert caught.value.__cause__ is error


def test_a_caller_makes_as_many_calls_as_it_is_told() -> None:
    made: list[int] = []
    thread = CallerThread(lambda: made.append(1), 0, most=5)
    thread.start()
    thread.join()
    assert len(made) == len(thread.latencies_us) == 5


def test_the_answer_that_was_asked_for_is_taken() -> None:
    check_answer(ANSWER, b"a1")


@pytest.mark.parametrize("awaited", [b"b2", b"c3"])
def test_another_ones_answer_ends_the_run(awaited: bytes) -> None:
    with pytest.raises(BenchmarkError, match="not the answer to"):
        check_answer(ANSWER, awaited)


@pytest.mark.parametrize("status", [b"202", b"204", b"503"])
def test_any_status_but_200_ends_the_run(status: bytes) -> None:
    with pytest.raises(BenchmarkError, match="not a success"):
        check_answer(ANSWER.replace(b"200", status), b"a1")
