from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tier_runtime.head_with_body import HeadWithBody

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    server, client = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.settimeout(5)
    with server, client:
        yield server, client


def test_head_and_body_leave_as_one(ends: tuple[socket.socket, socket.socket]) -> None:
    server, client = ends
    sending = HeadWithBody(server)
    for part in (HEAD, b"first", b"second"):
        sending.sendall(part)
    sending.flush()
    assert [client.recv(100), client.recv(100)] == [HEAD + b"first", b"second"]


def test_a_head_without_a_body_leaves_at_the_end(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    sending = HeadWithBody(server)
    sending.sendall(HEAD)
    sending.flush()
    sending.flush()
    sending.sendall(b"next")
    assert [client.recv(100), client.recv(100)] == [HEAD, b"next"]


def test_whoever_wants_the_descriptor_finds_the_head_sent(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    sending = HeadWithBody(server)
    sending.sendall(HEAD)
    assert sending.fileno() == server.fileno()
    assert client.recv(100) == HEAD


def test_a_file_is_sent_after_the_head(
    ends: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    server, client = ends
    file = tmp_path / "page.html"
    file.write_bytes(b"page")
    sending = HeadWithBody(server)
    sending.sendall(HEAD)
    with file.open("rb") as page:
        sending.sendfile(page)
    assert [client.recv(100), client.recv(100)] == [HEAD, b"page"]


def test_an_interim_answer_does_not_wait(ends: tuple[socket.socket, socket.socket]) -> None:
    server, client = ends
    sending = HeadWithBody(server)
    sending.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    sending.sendall(HEAD)
    sending.sendall(b"body")
    assert client.recv(100) == HEAD + b"body"


def test_all_else_is_the_sockets_own(ends: tuple[socket.socket, socket.socket]) -> None:
    server, client = ends
    client.send(b"x")
    assert HeadWithBody(server).recv(10, socket.MSG_PEEK) == b"x"
