from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from tests.stores.waiting import eventually
from tests.tier.transports.asking import (
    ARITIES,
    BOTH,
    ask,
    ends,
    every_arity,
    new_note,
    recall,
    request,
)
from tests.tier.transports.conftest import Connect
from tests.tier.transports.probe_contract import ProbeStub
from tests.tier.transports.probe_servicer import LONG_SECONDS
from tests.tier.transports.wires import SOCKETS, Peer, Wire
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.errors import Kind

# Time enough for a busy machine to begin a call, and little enough to wait for.
SHORT_SECONDS = 0.4

# gRPC rounds a deadline up: to hundredths of a second below ten, to tenths from there on.
ROUNDING = 0.12

TOO_LATE = (Kind.DEADLINE, "DEADLINE_EXCEEDED")


def seconds_left(stub: ProbeStub, arity: str, **options: Any) -> float:
    (answer,) = ask(stub, arity, request(answers=1), **options)
    return float(answer.seen.seconds_left)


@every_arity
def test_a_call_outside_of_any_has_the_channel_s_deadline(connect: Connect, arity: str) -> None:
    assert 5 < seconds_left(connect(default_deadline_seconds=7.0), arity) <= 7 + ROUNDING


@every_arity
def test_a_stranger_s_call_without_a_deadline_has_the_server_s(
    bare_probe: ProbeStub, arity: str
) -> None:
    assert 3 < seconds_left(bare_probe, arity) <= 5 + ROUNDING


@every_arity
def test_a_deadline_shrinks_by_the_margin_of_the_hop(connect: Connect, arity: str) -> None:
    stub = connect(hop_margin_seconds=2.0)
    with call_scope(Call(Actor(), "r-1", Deadline.after(20))):
        assert 16 < seconds_left(stub, arity) <= 18 + ROUNDING


@every_arity
@pytest.mark.parametrize("timeout", [3.0, 100.0], ids=["less", "more"])
def test_a_timeout_can_only_shorten_the_call_s_deadline(
    probe: ProbeStub, arity: str, timeout: float
) -> None:
    with call_scope(Call(Actor(), "r-1", Deadline.after(20))):
        left = seconds_left(probe, arity, timeout=timeout)
    assert min(timeout, 20) - 2 < left <= min(timeout, 20) + ROUNDING


@every_arity
def test_a_call_whose_time_is_over_does_not_begin(probe: ProbeStub, arity: str) -> None:
    note = new_note()
    with call_scope(Call(Actor(), "r-1", Deadline.after(0))):
        assert ends(probe, arity, request(note=note))[:2] == TOO_LATE
    assert not recall(probe, note).begun


@every_arity
def test_a_call_with_too_little_time_left_does_not_begin(
    probe: ProbeStub, bare_probe: ProbeStub, arity: str
) -> None:
    note = new_note()
    for stub, expected in ((probe, Kind.DEADLINE), (bare_probe, grpc.StatusCode.DEADLINE_EXCEEDED)):
        # Less than the server's least.
        assert ends(stub, arity, request(note=note), timeout=0.003)[0] == expected
    assert not recall(probe, note).begun


def all_at_once(wire: Wire, ask_one: Callable[[str], object]) -> dict[str, object]:
    """Return how it went with each arity; they wait at the same time."""
    arities = [one for one in ARITIES if (wire, one) != ("http", BOTH)]
    with ThreadPoolExecutor(len(arities)) as pool:
        return dict(zip(arities, pool.map(ask_one, arities), strict=True))


def test_a_deadline_that_passes_while_the_handler_runs_fails_the_call(
    probe: ProbeStub, bare_probe: ProbeStub, wire: Wire
) -> None:
    note = new_note()
    asked = request(note=note, wait="WAIT_UNTIL_LATE")

    def of_ours(arity: str) -> object:
        return ends(probe, arity, asked, timeout=SHORT_SECONDS)[:2]

    def of_strangers(arity: str) -> object:
        return ends(bare_probe, arity, asked, timeout=SHORT_SECONDS)[0]

    ours, strangers = all_at_once(wire, of_ours), all_at_once(wire, of_strangers)
    assert set(ours.values()) == {TOO_LATE}
    assert set(strangers.values()) == {grpc.StatusCode.DEADLINE_EXCEEDED}
    eventually(lambda: recall(probe, note).ended == len(ours) + len(strangers))


def test_the_handler_sees_that_its_caller_waits_no_more(probe: ProbeStub, wire: Wire) -> None:
    note = new_note()
    asked = request(note=note, wait="WAIT_UNTIL_GONE")
    ended = all_at_once(wire, lambda arity: ends(probe, arity, asked, timeout=SHORT_SECONDS)[:2])
    assert set(ended.values()) == {TOO_LATE}
    eventually(lambda: recall(probe, note).gone == len(ended))
    eventually(lambda: recall(probe, note).callbacks == len(ended))


@pytest.mark.parametrize("wire", SOCKETS, indirect=True)
def test_a_caller_is_not_kept_waiting_by_a_handler_that_does_not_look(
    peer: Peer, wire: Wire
) -> None:
    """In one process the handler runs in its caller's thread, so there it is."""
    note = new_note()

    # Where the handler learns of no end, it waits for its own limit.
    def ask_one(arity: str) -> object:
        with peer.bare_channel() as channel:
            stub = ProbeStub(channel)
            began = time.monotonic()
            asked = request(note=note, wait="WAIT_LONG", answers=0)
            code = ends(stub, arity, asked, timeout=SHORT_SECONDS)[0]
            return code, time.monotonic() - began < LONG_SECONDS / 2

    ended = all_at_once(wire, ask_one)
    assert set(ended.values()) == {(grpc.StatusCode.DEADLINE_EXCEEDED, True)}


@pytest.mark.parametrize("arity", ["Answer", "Up"])
def test_a_future_that_is_late_says_so(probe: ProbeStub, arity: str) -> None:
    asked = request(wait="WAIT_UNTIL_GONE")
    given = asked if arity == "Answer" else iter([asked])
    future = getattr(probe, arity).future(given, timeout=SHORT_SECONDS)
    assert not future.done()
    error = future.exception(timeout=10)
    assert (error.kind, error.code) == TOO_LATE
    assert future.done()
    assert not future.cancelled()


def test_a_future_that_is_not_ready_in_time_can_be_asked_again(probe: ProbeStub) -> None:
    future = probe.Answer.future(request(wait="WAIT_UNTIL_GONE"), timeout=5)
    with pytest.raises(grpc.FutureTimeoutError):
        future.result(timeout=0.05)
    assert future.running()
    future.cancel()
