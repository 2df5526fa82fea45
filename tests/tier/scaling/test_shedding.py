from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
import requests

from tests.stores.waiting import eventually
from tests.tier.controller.processes import ControllerProcess
from tests.tier.transports.asking import ends, request
from tests.tier.transports.plans import TierPlan
from tests.tier.transports.probe_contract import ProbeStub
from tests.tier.transports.wires import SOCKETS, WIRES, Wire, served

LIMIT = 4
# That often in a row it must have been full.
FULL_LOOKS = 4
LIMIT_SECONDS = 10.0
LOGIN = {"email": "ada@example.org", "password": "Correct-Horse-7"}


def plan(wire: Wire) -> TierPlan:
    protocol: Any = "http" if wire == "http" else "grpc"
    return TierPlan("neighbour", protocol, settings={"threads": 8, "max_concurrent_rpcs": LIMIT})


class Occupants:
    """As many calls in flight as the tier takes; the stack ends them."""

    def __init__(self, stack: ExitStack, stub: ProbeStub) -> None:
        self._stack = stack
        self._stub = stub
        self._held: list[Any] = []
        self._full_looks = 0
        eventually(self._fill, LIMIT_SECONDS, "the tier is full")

    def _fill(self) -> bool:
        # One that arrived together with somebody else's call may have been refused itself, and
        # the tier be full for that moment only.
        self._held = [call for call in self._held if not call.done()]
        missing = LIMIT - len(self._held)
        for _ in range(missing):
            asked = request(wait="WAIT_UNTIL_GONE")
            call = self._stub.Answer.future(asked, timeout=LIMIT_SECONDS)
            self._stack.callback(call.cancel)
            self._held.append(call)
        is_full = not missing and ends(self._stub, "Plain", request())[0] != "OK"
        self._full_looks = self._full_looks + 1 if is_full else 0
        return self._full_looks == FULL_LOOKS


@pytest.mark.parametrize("wire", WIRES)
def test_a_full_tier_refuses_at_once_and_says_when_to_come_again(wire: Wire) -> None:
    with ExitStack() as stack:
        peer = stack.enter_context(served(wire, plan(wire)))
        stub = ProbeStub(stack.enter_context(peer.channel()))
        with ExitStack() as held:
            Occupants(held, stub)
            kind, code, _, fields, retry_after, _ = ends(stub, "Plain", request())
            assert (kind, code, fields) == ("unavailable", "SERVICE_UNAVAILABLE", {})
            assert retry_after == 1.0
        eventually(lambda: ends(stub, "Plain", request())[0] == "OK", LIMIT_SECONDS)


@pytest.mark.parametrize("wire", SOCKETS)
def test_the_edge_tells_of_a_full_tier_as_503_with_retry_after(wire: Wire) -> None:
    with ExitStack() as stack:
        peer = stack.enter_context(served(wire, plan(wire)))
        stub = ProbeStub(stack.enter_context(peer.channel()))
        edge = stack.enter_context(ControllerProcess(peer.url))
        Occupants(stack, stub)
        answer = requests.post(f"{edge.url}/api/v1/auth/login", json=LOGIN, timeout=LIMIT_SECONDS)
    assert answer.status_code == 503, answer.text
    assert answer.headers["Retry-After"] == "1"
    assert answer.json()["code"] == "SERVICE_UNAVAILABLE"
