from __future__ import annotations

import pytest

from tests.stores.waiting import eventually
from tests.tier.scaling.conftest import Open, Start, port_of_all_hosts
from tests.tier.transports.asking import ends, request
from tests.tier.transports.plans import TierPlan
from tier_runtime.clock import SystemClock
from tier_runtime.tier import Protocol

# Failed attempts to connect make the pauses between them longer, up to a second.
ATTEMPTS, PAUSE_SECONDS = 50, 0.05
# A second, gRPC's jitter of a fifth, and what a busy machine takes.
WITHIN_SECONDS = 2.0


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_tier_that_is_back_is_reached_within_about_a_second(
    start: Start, open_stub: Open, protocol: Protocol
) -> None:
    bind = f"127.0.0.1:{port_of_all_hosts()}"
    plan = TierPlan("probe", protocol, settings={"bind": bind})
    first = start(plan)
    stub = open_stub(f"{protocol}://{bind}")
    assert ends(stub, "Plain", request())[0] == "OK"
    assert first.stop() == 0
    failed = []

    def fail_again() -> bool:
        failed.append(ends(stub, "Plain", request())[0])
        return len(failed) == ATTEMPTS

    eventually(fail_again, 30, "the peer is gone for a while", PAUSE_SECONDS)
    assert set(failed) == {"unavailable"}
    start(plan)
    clock = SystemClock()
    began = clock.monotonic()
    eventually(lambda: ends(stub, "Plain", request())[0] == "OK", 10, "the peer is reached")
    assert clock.monotonic() - began < WITHIN_SECONDS
