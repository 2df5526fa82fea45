"""Uploads as a client of the edge makes them: whole, cut off, or held back."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.system.client import API, PATIENCE_SECONDS, Edge

BOUNDARY = "upload-of-a-test"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
PNG = b"\x89PNG\r\n\x1a\n"
LIMIT = 10 * 1024 * 1024
# What stands behind the content.
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()


def form_of(content: bytes, filename: str = "photo.png") -> bytes:
    """Return a form with one file."""
    return head_of(filename) + content + TAIL


def head_of(filename: str = "photo.png") -> bytes:
    """Return what stands before the content."""
    disposition = f'Content-Disposition: form-data; name="file"; filename="{filename}"'
    return f"--{BOUNDARY}\r\n{disposition}\r\n\r\n".encode()


def upload(
    edge: Edge, headers: Mapping[str, str], content: bytes, filename: str = "photo.png"
) -> requests.Response:
    """Send a whole upload and return the answer."""
    told = {**headers, "Content-Type": FORM_TYPE}
    return edge.call("POST", "/files", headers=told, data=form_of(content, filename))


class RawUpload:
    """An upload whose bytes the test sends when it likes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def send_chunk(self, data: bytes) -> None:
        self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def answer(self) -> tuple[int, dict[str, Any]]:
        """Wait for the answer and return its status and document."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive()
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        named = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        while len(body) < int(named["content-length"]):
            body += self._receive()
        return int(lines[0].split()[1]), json.loads(body)

    def cut(self) -> None:
        """Leave in the middle."""
        self._connection.close()

    def _receive(self) -> bytes:
        part = self._connection.recv(65_536)
        assert part, "the edge closed the connection without an answer"
        return part


@contextlib.contextmanager
def raw_upload(edge: Edge, headers: Mapping[str, str], length: int | None) -> Iterator[RawUpload]:
    """Begin an upload of this Content-Length; of None, in chunks."""
    address = urlsplit(edge.url)
    assert address.hostname is not None
    assert address.port is not None
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = [
        f"POST {API}/files HTTP/1.1",
        f"Host: {address.netloc}",
        f"Content-Type: {FORM_TYPE}",
        framing,
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    with socket.create_connection((address.hostname, address.port), PATIENCE_SECONDS) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        yield RawUpload(connection)
