"""Requests and streams that end before their time, as bytes on a connection to our HTTP server."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator

import orjson
import pytest

from tests.stores.waiting import eventually
from tests.tier.transports.asking import UP, new_note, recall, request
from tests.tier.transports.plans import TierPlan
from tests.tier.transports.probe_contract import ProbeStub
from tests.tier.transports.wires import Peer, served

SERVICE = "tests.transports.v1.ProbeService"
# HTTP's mark of a chunked body that is whole.
WHOLE = b"\r\n0\r\n\r\n"
LIMIT = 10.0


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    plan = TierPlan("probe", protocol="http", settings={"default_deadline_seconds": 0.5})
    with served("http", plan) as one:
        yield one


def _sent(peer: Peer, method: str, body: bytes, missing: int = 0, *, leaves: bool = False) -> bytes:
    """Send a request of which so many bytes never come, and return all that is answered."""
    host, _, port = peer.url.rpartition("/")[2].rpartition(":")
    head = (
        f"POST /{SERVICE}/{method} HTTP/1.1\r\nHost: tier\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body) + missing}\r\n\r\n"
    )
    answered = b""
    with socket.create_connection((host, int(port)), LIMIT) as connection:
        connection.sendall(head.encode() + body)
        if leaves:
            connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65536):
            answered += part
    return answered


def _told(peer: Peer, note: str) -> None:
    with peer.channel() as channel:
        stub = ProbeStub(channel)
        eventually(lambda: recall(stub, note).gone, LIMIT, "the handler was told")


def _waiting(peer: Peer, note: str) -> None:
    with peer.channel() as channel:
        stub = ProbeStub(channel)
        eventually(lambda: recall(stub, note).waiting, LIMIT, "the handler waits")


@pytest.mark.parametrize("unread", [b"5\r\n{}\n\r\n\r\n", b"0\r\n\r\n"], ids=["more", "the end"])
def test_who_leaves_is_gone_also_while_something_of_theirs_is_unread(
    peer: Peer, unread: bytes
) -> None:
    note = new_note()
    line = orjson.dumps({"plan": {"note": note, "wait": "WAIT_UNTIL_GONE"}}) + b"\n"
    host, _, port = peer.url.rpartition("/")[2].rpartition(":")
    head = (
        f"POST /{SERVICE}/{UP} HTTP/1.1\r\nHost: tier\r\ngrpc-timeout: 60S\r\n"
        "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), LIMIT) as connection:
        connection.sendall(b"%b%x\r\n%b\r\n" % (head.encode(), len(line), line))
        _waiting(peer, note)
        connection.sendall(unread)
    _told(peer, note)


def test_who_cancels_is_gone_also_while_a_full_connection_holds_up_the_rest(peer: Peer) -> None:
    note = new_note()
    payload = {"text": "x" * 1_000_000}
    first = request(note=note, wait="WAIT_UNTIL_GONE")
    with peer.channel() as channel:
        # More than the buffers on the way can take.
        requests = itertools.chain([first], itertools.repeat(request(payload), 30))
        call = getattr(ProbeStub(channel), UP).future(requests, timeout=60)
        _waiting(peer, note)
        call.cancel()
        _told(peer, note)


def test_half_a_request_is_not_executed_though_it_can_be_read(peer: Peer) -> None:
    note = new_note()
    body = orjson.dumps({"plan": {"note": note}})
    answered = _sent(peer, "Answer", body, 10, leaves=True)
    assert answered.startswith(b"HTTP/1.1 400 ")
    assert b"MALFORMED_BODY" in answered
    with peer.channel() as channel:
        assert not recall(ProbeStub(channel), note).begun


def test_a_stream_to_a_caller_that_seems_to_have_gone_does_not_pass_for_whole(peer: Peer) -> None:
    body = orjson.dumps({"plan": {"answers": 3}})
    assert _sent(peer, "Down", body).endswith(WHOLE)
    broken = _sent(peer, "Down", body, leaves=True)
    assert broken.startswith(b"HTTP/1.1 200 ")
    assert not broken.endswith(WHOLE)


def test_a_stream_that_the_server_s_own_limit_ends_does_not_pass_for_a_success(peer: Peer) -> None:
    body = orjson.dumps({"plan": {"answers": 2, "wait": "WAIT_UNTIL_GONE"}})
    answered = _sent(peer, "Down", body)
    assert answered.startswith(b"HTTP/1.1 200 ")
    assert answered.endswith(WHOLE)
    lines = [line for line in answered.splitlines() if line.startswith(b"{")]
    assert "@error" in orjson.loads(lines[-1])
    assert len(lines) == 3
