"""A tier that is full says so over TLS as it does without, be the connection a new one."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.stores.waiting import eventually
from tests.tier.scaling.test_shedding import LIMIT, LIMIT_SECONDS, Occupants
from tests.tier.tls.certificates import served_by_tls, tls_plan
from tests.tier.transports.asking import ends, request
from tests.tier.transports.probe_contract import ProbeStub
from tests.tier.transports.wires import Wire


def test_a_full_tier_refuses_at_once_and_says_when_to_come_again(folder: Path, wire: Wire) -> None:
    plan = tls_plan(folder, wire, threads=8, max_concurrent_rpcs=LIMIT)
    with ExitStack() as stack:
        peer, process = stack.enter_context(served_by_tls(wire, plan, folder))
        stub = ProbeStub(stack.enter_context(peer.channel()))
        with ExitStack() as held:
            Occupants(held, stub)
            for _ in range(3):
                kind, code, _, fields, retry_after, _ = ends(stub, "Plain", request())
                assert (kind, code, fields) == ("unavailable", "SERVICE_UNAVAILABLE", {})
                assert retry_after == 1.0
        eventually(lambda: ends(stub, "Plain", request())[0] == "OK", LIMIT_SECONDS)
        assert not process.log_lines("unexpected_error")
