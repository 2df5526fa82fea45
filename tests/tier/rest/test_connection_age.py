"""Our HTTP server ends connections that are old, and no call of our channels fails by it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stores.relay import TcpRelay
from tests.stores.waiting import eventually
from tests.tier.scaling.load import Load
from tests.tier.transports.asking import DOWN, UNARY, UP, ask, request
from tests.tier.transports.plans import TierPlan
from tests.tier.transports.probe_contract import ProbeStub
from tests.tier.transports.wires import served
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.rest.pools import MAX_IDLE_SECONDS
from tier_runtime.tier import HTTP_KEEPALIVE_SECONDS

AGE_SECONDS = 0.5
SECONDS = 30.0
CALLERS = 6
# The channel replaces no connection by itself, and sends nothing again.
SETTINGS = ChannelSettings(max_attempts=1, max_connection_age_seconds=3600.0)


@pytest.fixture(scope="module")
def relay() -> Iterator[TcpRelay]:
    """Lead to a server whose connections end soon."""
    plan = TierPlan("probe", protocol="http", settings={"max_connection_age_seconds": AGE_SECONDS})
    with served("http", plan) as peer, TcpRelay.to(peer.url) as relay:
        yield relay


def test_connections_are_replaced_under_calls_that_are_never_sent_again(relay: TcpRelay) -> None:
    before = relay.accepted
    with open_channel(relay.url, SETTINGS) as channel:
        with Load(ProbeStub(channel), CALLERS) as load:
            eventually(lambda: relay.accepted - before >= 6 * CALLERS, SECONDS, "new connections")
        assert load.failures == []
        # Some served more than the one call that each may always have.
        assert load.answers() > relay.accepted - before


@pytest.mark.parametrize("arity", [UNARY, DOWN, UP])
def test_streams_end_well_on_connections_that_are_old(relay: TcpRelay, arity: str) -> None:
    before = relay.accepted
    answers = set()
    with open_channel(relay.url, SETTINGS) as channel:
        stub = ProbeStub(channel)
        asked = request({"text": "x"}, answers=3)

        def is_replaced() -> bool:
            answers.add(len(ask(stub, arity, asked)))
            return relay.accepted - before >= 4

        eventually(is_replaced, SECONDS, "new connections")
    assert answers == {3 if arity == DOWN else 1}


def test_a_server_keeps_idle_connections_longer_than_our_channels_use_them() -> None:
    assert HTTP_KEEPALIVE_SECONDS >= MAX_IDLE_SECONDS + 5
