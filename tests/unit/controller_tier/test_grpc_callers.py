from __future__ import annotations

import pytest

from controller_tier.clients import MAX_USER_AGENT, shown_address, shown_agent
from controller_tier.grpc_edge.callers import client_address


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
