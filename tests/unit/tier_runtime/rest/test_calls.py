"""Calls of a REST channel that end in the middle of what their callers send."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from tests.tier.transports.asking import UP, request
from tests.tier.transports.probe_contract import ProbeStub
from tier_runtime.channel_settings import ChannelSettings
from tier_runtime.rest.channel import RestChannel
from tier_runtime.rest.connections import Outgoing, unavailable
from tier_runtime.rest.flight import Flight

# None of these tests takes so long unless it fails.
LIMIT = 10.0


class Sink:
    """Takes a body as a connection does, and answers nothing."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        # A connection marks the end of such a body.
        self.is_whole = False
        self.is_over = threading.Event()

    def send(self, request: Outgoing, flight: Flight, attempts: int) -> Any:
        assert request.body is not None
        assert not isinstance(request.body, bytes)
        try:
            self.lines.extend(request.body)
            self.is_whole = True
        finally:
            self.is_over.set()
        raise unavailable("Nothing answers.")

    def close(self) -> None:
        pass


class Requests:
    """One request, and the end of the requests when the test says so."""

    def __init__(self) -> None:
        self.end = threading.Event()

    def __iter__(self) -> Iterator[Any]:
        yield request()
        self.end.wait(LIMIT)


@pytest.mark.parametrize(
    ("end", "timeout", "code"),
    [
        (lambda call: call.cancel(), LIMIT, grpc.StatusCode.CANCELLED),
        (lambda call: call.code(), 0.05, grpc.StatusCode.DEADLINE_EXCEEDED),
    ],
    ids=["cancelled", "late"],
)
def test_requests_that_end_with_their_call_do_not_pass_for_all_of_them(
    end: Callable[[Any], object], timeout: float, code: grpc.StatusCode
) -> None:
    sink, requests = Sink(), Requests()

    def go_on() -> None:
        # The call is over, and its connection not yet closed: whoever makes the requests may know
        # of the one before the other.
        requests.end.set()
        assert sink.is_over.wait(LIMIT)

    with RestChannel(["nowhere:1"], ChannelSettings(), sink) as channel:
        call = getattr(ProbeStub(channel), UP).future(iter(requests), timeout=timeout)
        assert call.add_callback(go_on)
        end(call)
        assert sink.is_over.is_set()
        assert call.code() is code
    assert len(sink.lines) == 1
    assert not sink.is_whole


def test_requests_that_end_by_themselves_are_all_of_them() -> None:
    sink, requests = Sink(), Requests()
    requests.end.set()
    with RestChannel(["nowhere:1"], ChannelSettings(), sink) as channel:
        call = getattr(ProbeStub(channel), UP).future(iter(requests), timeout=LIMIT)
        assert call.code() is grpc.StatusCode.UNAVAILABLE
    assert sink.is_whole
