"""A stream of requests that its sender writes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import grpc
import pytest

from tests.stores.waiting import eventually
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.upstream import MOST_WAITING, Upstream


class Peer:
    """Takes messages when it is let, in a thread of its own, and answers as it is told."""

    def __init__(self, answer: Any = "done", takes: int = 1000) -> None:
        self.taken: list[str] = []
        self.goes_on = threading.Semaphore(takes)
        self.enough = threading.Event()
        self.answer = answer
        self.call: Future[Any] = Future()

    def future(self, messages: Iterator[str]) -> Any:
        self.thread = threading.Thread(target=self._take, args=(messages,), daemon=True)
        self.thread.start()
        return self.call

    def _take(self, messages: Iterator[str]) -> None:
        while not self.enough.is_set():
            self.goes_on.acquire()
            message = next(messages, None)
            if message is None:
                break
            self.taken.append(message)
        if self.call.cancelled():
            return
        if isinstance(self.answer, Exception):
            self.call.set_exception(self.answer)
        else:
            self.call.set_result(self.answer)


def sent_by(peer: Any, seconds: float = 5.0) -> Upstream[str, str]:
    return Upstream(peer, Deadline.after(seconds))


def test_all_messages_come_in_their_order_and_the_answer_goes_back() -> None:
    peer = Peer()
    with sent_by(peer) as upstream:
        assert all(upstream.send(str(number)) for number in range(100))
        assert upstream.finish() == "done"
    assert peer.taken == [str(number) for number in range(100)]


def test_the_sender_is_never_far_ahead_of_the_transport() -> None:
    peer = Peer(takes=1)
    with sent_by(peer, seconds=0.2) as upstream:
        for number in range(1 + MOST_WAITING):
            assert upstream.send(str(number))
        with pytest.raises(AppError) as caught:
            upstream.send("one too many")
    assert caught.value.kind is Kind.DEADLINE
    assert peer.taken == ["0"]
    peer.goes_on.release()


def test_a_sender_learns_that_the_answer_is_there_already() -> None:
    refusal = AppError(Kind.INVALID, "BODY_TOO_LARGE", "Too much.")
    peer = Peer(refusal)
    peer.enough.set()
    with sent_by(peer) as upstream:
        eventually(peer.call.done, 5, "the peer has answered")
        assert upstream.send("more") is False
        with pytest.raises(AppError) as caught:
            upstream.finish()
    assert caught.value is refusal


def test_a_sender_that_fails_cancels_and_leaves_no_thread_behind() -> None:
    peer = Peer(takes=1)

    def send() -> None:
        with sent_by(peer) as upstream:
            upstream.send("first")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        send()
    assert peer.call.cancelled()
    # Its iterator has ended, so that it is not waited on for ever.
    peer.goes_on.release(2)
    peer.thread.join(5)
    assert not peer.thread.is_alive()
    assert peer.taken in ([], ["first"])


def test_a_call_that_the_peer_cancels_means_that_it_is_not_there() -> None:
    class Gone(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            raise grpc.FutureCancelledError

    peer = Peer()
    peer.call = Gone()
    with pytest.raises(AppError) as caught, sent_by(peer) as upstream:
        upstream.finish()
    assert (caught.value.kind, caught.value.code) == (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")
