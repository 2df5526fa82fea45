from __future__ import annotations

from collections.abc import Callable

import pytest

from controller_tier.access_table import INTERNAL_RPCS
from controller_tier.clients import MAX_USER_AGENT, shown_address, shown_agent
from controller_tier.entrance import make_access_feed, make_entrance
from controller_tier.grpc_edge.callers import Doorkeeper, client_address
from controller_tier.settings import ControllerSettings
from tests.fakes.audit import KeptActs
from tests.fakes.clock import FakeClock
from tests.fakes.service import FakeServiceTier, stubs_of
from tier_runtime.call import Actor, Call
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


@pytest.fixture
def kept() -> KeptActs:
    return KeptActs()


@pytest.fixture
def actor_of(kept: KeptActs) -> Callable[[str], Actor]:
    """Say who an RPC of this method, that comes without a token, is served for."""
    clock = FakeClock()
    settings, service = ControllerSettings(), stubs_of(FakeServiceTier(clock))
    feed = make_access_feed(settings, service, clock)
    entrance = make_entrance(settings, service, feed, clock, kept)
    doorkeeper = Doorkeeper(entrance.rpcs, entrance.admission, entrance.denials, trusted_proxies=0)
    call = Call(Actor(), "r", Deadline.after(5.0, clock.monotonic), "")
    return lambda method: doorkeeper.find_actor(method, (), call)


def test_reflection_is_for_everyone(actor_of: Callable[[str], Actor]) -> None:
    assert actor_of(REFLECTION).is_anonymous


@pytest.mark.parametrize(
    "method",
    [
        *(f"/{name}" for name in sorted(INTERNAL_RPCS)),
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/Other",
        "/added.tomorrow.Service/Method",
        "",
    ],
)
def test_nobody_comes_in_by_a_method_that_is_not_in_the_table(
    actor_of: Callable[[str], Actor], method: str
) -> None:
    with pytest.raises(AppError) as raised:
        actor_of(method)
    assert (raised.value.kind, raised.value.code) == (Kind.FORBIDDEN, "FORBIDDEN")


def test_a_stranger_who_makes_up_methods_is_one_line_of_the_audit_log(
    actor_of: Callable[[str], Actor], kept: KeptActs
) -> None:
    for number in range(20):
        with pytest.raises(AppError):
            actor_of(f"/arcana.service.v1.Service/Method{number}")
    (act,) = kept.acts
    assert (act.name, act.code, act.target["refused"]) == ("Service/Method0", "FORBIDDEN", 1)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.1:4711", "192.0.2.1"),
        ("ipv6:%5B2001:db8::1%5D:4711", "2001:db8::1"),
        ("ipv6:[::1]:4711", "::1"),
        ("ipv6:%5Bfe80::1%25eth0%5D:4711", "fe80::1%eth0"),
        ("unix:/run/x.sock", ""),
        ("inproc", ""),
        ("", ""),
    ],
)
def test_a_peer_is_read_as_grpc_writes_it(peer: str, address: str) -> None:
    assert client_address(peer, (), 0) == address


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        (("203.0.113.9",), 0, "192.0.2.1"),
        (("203.0.113.9",), 1, "203.0.113.9"),
        (("1.1.1.1, 203.0.113.9",), 1, "203.0.113.9"),
        (("1.1.1.1", "203.0.113.9"), 1, "203.0.113.9"),
        (("1.1.1.1, 203.0.113.9, 198.51.100.1",), 2, "203.0.113.9"),
        # Fewer than there are proxies: it did not come their way.
        (("203.0.113.9",), 2, "192.0.2.1"),
        ((), 1, "192.0.2.1"),
        (("203.0.113.9, ",), 1, "192.0.2.1"),
        # Of what the client wrote nothing counts, not even that it is empty.
        ((", 203.0.113.9",), 1, "203.0.113.9"),
        (("", "203.0.113.9"), 1, "203.0.113.9"),
        (("1.1.1.1,, 203.0.113.9, 198.51.100.1",), 2, "203.0.113.9"),
        ((", 198.51.100.1",), 2, "192.0.2.1"),
    ],
)
def test_only_what_trusted_proxies_wrote_counts(
    forwarded: tuple[str, ...], proxies: int, address: str
) -> None:
    metadata = tuple(("x-forwarded-for", text) for text in forwarded)
    assert client_address("ipv4:192.0.2.1:4711", metadata, proxies) == address


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("<script>", ""),
        ("", ""),
    ],
)
def test_only_an_address_is_shown_as_one(text: str, shown: str) -> None:
    assert shown_address(text) == shown


def test_of_an_agent_what_a_person_can_read_is_shown() -> None:
    assert shown_agent("grpc\x00-python\n/1") == "grpc-python/1"
    assert len(shown_agent("x" * 1000)) == MAX_USER_AGENT
