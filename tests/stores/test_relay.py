"""What tests rely on when they take a neighbour away."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.stores.relay import TcpRelay


@pytest.fixture
def echo_url() -> Iterator[str]:
    """Run a server that sends back what it gets, one connection at a time."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            with caller:
                try:
                    while data := caller.recv(100):
                        caller.sendall(data)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"redis://user:pw@127.0.0.1:{listener.getsockname()[1]}/3?x=1"
    listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    listener.close()


def connect(relay: TcpRelay) -> socket.socket:
    return socket.create_connection((relay.host, relay.port), timeout=2)


def test_a_relay_passes_bytes_both_ways(echo_url: str) -> None:
    with TcpRelay.to(echo_url) as relay, connect(relay) as line:
        line.sendall(b"hello")

        assert line.recv(100) == b"hello"


def test_the_url_through_a_relay_keeps_all_but_the_address(echo_url: str) -> None:
    with TcpRelay.to(echo_url) as relay:
        assert relay.url == f"redis://user:pw@127.0.0.1:{relay.port}/3?x=1"


def test_a_cut_ends_open_connections_and_refuses_new_ones_until_it_is_restored(
    echo_url: str,
) -> None:
    with TcpRelay.to(echo_url) as relay:
        with connect(relay) as line:
            line.sendall(b"a")
            assert line.recv(100) == b"a"
            relay.cut()
            assert is_dead(line)
        with connect(relay) as line:
            assert is_dead(line)
        relay.restore()
        with connect(relay) as line:
            line.sendall(b"b")
            assert line.recv(100) == b"b"


def test_a_stall_holds_bytes_back_until_it_is_restored(echo_url: str) -> None:
    with TcpRelay.to(echo_url) as relay, connect(relay) as line:
        relay.stall()
        line.sendall(b"late")
        line.settimeout(0.2)
        with pytest.raises(TimeoutError):
            line.recv(100)
        relay.restore()
        line.settimeout(2)

        assert line.recv(100) == b"late"


def test_a_url_without_a_port_is_refused() -> None:
    with pytest.raises(ValueError, match="host and a port"):
        TcpRelay.to("redis://localhost")


def is_dead(line: socket.socket) -> bool:
    try:
        line.sendall(b"?")
        return line.recv(100) == b""
    except (ConnectionResetError, BrokenPipeError):
        return True
