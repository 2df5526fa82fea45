from __future__ import annotations

import pytest

from benchmarks.relay import CountingRelay
from benchmarks.rest_channels import LeanConnections, NewConnections
from tests.tier.benchmarks.http_server import OK, SmallServer, small_server
from tier_runtime.local_rpc import LocalRpcError
from tier_runtime.rest.connections import Connections, Outgoing
from tier_runtime.rest.flight import Flight

GET = Outgoing("GET", "/users/1", {"x-request-id": "r1"}, None)
POST = Outgoing("POST", "/users", {"Content-Type": "application/json"}, b'{"a": 1}')
KINDS: list[type[LeanConnections] | type[NewConnections]] = [LeanConnections, NewConnections]


def flight() -> Flight:
    return Flight(5.0)


def connections(kind: type[LeanConnections] | type[NewConnections], port: int) -> Connections:
    return kind("127.0.0.1", port)


@pytest.mark.parametrize("kind", KINDS)
def test_requests_go_out_whole_and_answers_come_back_whole(
    kind: type[LeanConnections] | type[NewConnections],
) -> None:
    with small_server() as server:
        sender = connections(kind, server.port)
        answer = sender.send(GET, flight(), 1)
        assert (answer.status, answer.read(100)) == (200, b"{}")
        assert sender.send(POST, flight(), 1).status == 200
        sender.close()
    assert server.lines == ["GET /users/1 HTTP/1.1", "POST /users HTTP/1.1"]
    assert "x-request-id: r1" in server.requests[0]
    assert server.requests[1].endswith('\r\n\r\n{"a": 1}')


@pytest.mark.parametrize(("kind", "opened"), [(LeanConnections, 1), (NewConnections, 3)])
def test_the_lean_one_keeps_its_connection_and_the_naive_one_does_not(
    kind: type[LeanConnections] | type[NewConnections], opened: int
) -> None:
    with small_server() as server:
        sender = connections(kind, server.port)
        for _ in range(3):
            sender.send(GET, flight(), 1).close()
        sender.close()
    assert server.connections == opened


@pytest.mark.parametrize("kind", KINDS)
def test_a_peer_that_is_not_there_is_unavailable(
    kind: type[LeanConnections] | type[NewConnections],
) -> None:
    with small_server() as server:
        port = server.port
    with pytest.raises(LocalRpcError, match="UNAVAILABLE"):
        connections(kind, port).send(GET, flight(), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_is_too_large_is_refused(
    kind: type[LeanConnections] | type[NewConnections],
) -> None:
    with small_server() as server:
        sender = connections(kind, server.port)
        with pytest.raises(LocalRpcError, match="RESOURCE_EXHAUSTED"):
            list(sender.send(GET, flight(), 1).lines(1))
        sender.close()


def closing_every_second(server: SmallServer) -> bytes:
    return OK if len(server.requests) % 2 else b""


def test_the_lean_one_sends_again_only_what_may_be_sent_twice() -> None:
    with small_server() as server:
        server.answer = lambda _request: closing_every_second(server)
        sender = connections(LeanConnections, server.port)
        sender.send(GET, flight(), 1)
        assert sender.send(GET, flight(), 2).status == 200
        with pytest.raises(LocalRpcError, match="UNAVAILABLE"):
            sender.send(POST, flight(), 1)
        sender.close()
    assert len(server.requests) == 4


def test_the_relay_counts_what_goes_up_and_what_comes_down() -> None:
    with small_server() as server, CountingRelay(server.url) as relay:
        port = int(relay.url.rpartition(":")[2])
        sender = connections(LeanConnections, port)
        sender.send(GET, flight(), 1)
        first = relay.counts()
        sender.send(GET, flight(), 1)
        sender.close()
        up, down = relay.counts()
    assert first == (len(server.requests[0]), len(OK))
    assert (up, down) == (2 * first[0], 2 * first[1])
