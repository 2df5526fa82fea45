"""REST channels with other ways to send: one that is leaner than a pool of urllib3, one naive.

Everything above the sending is that of our REST hops: paths, JSON, metadata, deadlines, errors.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import grpc
import requests

from tier_runtime.breaking import BreakingInterceptor
from tier_runtime.channel import ChannelSettings
from tier_runtime.client_interceptors import CallClientInterceptor
from tier_runtime.local_rpc import LocalRpcError
from tier_runtime.rest.channel import RestChannel
from tier_runtime.rest.connections import Connections, Incoming, Outgoing, late, unavailable
from tier_runtime.rest.flight import Flight
from tier_runtime.rest.pools import MAX_IDLE_SECONDS

_CONNECT_SECONDS = 1.0
_AT_ONCE = 65_536


def open_rest(target: str, settings: ChannelSettings, connections: Connections) -> grpc.Channel:
    """Return a channel like `open_channel`'s for `http://`, which sends by these connections."""
    channel: grpc.Channel = RestChannel([target], settings, connections)
    if settings.breaker is not None:
        channel = grpc.intercept_channel(channel, BreakingInterceptor(settings.breaker))
    interceptor = CallClientInterceptor(
        default_deadline_seconds=settings.default_deadline_seconds,
        hop_margin_seconds=settings.hop_margin_seconds,
    )
    return grpc.intercept_channel(channel, interceptor)


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """An answer that has been read to its end."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    def read(self, max_bytes: int) -> bytes:
        """Return the body."""
        if len(self.body) > max_bytes:
            raise LocalRpcError(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"The answer is larger than {max_bytes} bytes."
            )
        return self.body

    def lines(self, max_bytes: int) -> Iterator[bytes]:
        """Yield the body's lines."""
        yield from self.read(max_bytes).splitlines()

    def close(self) -> None:
        """Do nothing: there is nothing left to read."""


class NewConnections:
    """`requests.request` as it comes: a new session, and so a new connection, for every call."""

    def __init__(self, host: str, port: int) -> None:
        self._root = f"http://{host}:{port}"

    def send(self, request: Outgoing, flight: Flight, attempts: int) -> Incoming:
        """Return the answer to a request, which is sent once."""
        del attempts
        try:
            answer = requests.request(
                request.verb,
                self._root + request.target,
                data=request.body,
                headers=dict(request.headers),
                timeout=flight.remaining(),
                allow_redirects=False,
            )
        except requests.Timeout as error:
            raise late() from error
        except requests.RequestException as error:
            raise unavailable(f"No answer: {error}") from error
        return WholeAnswer(answer.status_code, tuple(answer.headers.items()), answer.content)

    def close(self) -> None:
        """Do nothing: no connection outlives its request."""


class LeanConnections:
    """Kept-alive raw sockets, and no more HTTP than our own servers speak.

    Answers must tell their length; so no streams.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._host = f"Host: {host}:{port}\r\n"
        # Since when each is idle. Appending and popping are one step each, so threads need no lock.
        self._idle: list[tuple[float, socket.socket]] = []

    def send(self, request: Outgoing, flight: Flight, attempts: int) -> Incoming:
        """Return the answer to a request, sent again where that is safe and none has begun."""
        data = self._bytes_of(request)
        while True:
            attempts -= 1
            connection = self._take()
            try:
                connection.settimeout(flight.remaining())
                connection.sendall(data)
                answer = _read_answer(connection)
            except TimeoutError as error:
                connection.close()
                raise late() from error
            except (OSError, ValueError) as error:
                connection.close()
                if attempts <= 0 or flight.is_late:
                    raise unavailable(f"No answer: {error}") from error
                continue
            self._idle.append((time.monotonic(), connection))
            return answer

    def close(self) -> None:
        """Close all connections that are not in use."""
        while self._idle:
            self._idle.pop()[1].close()

    def _take(self) -> socket.socket:
        while self._idle:
            try:
                # The one that was used last: the others may rest.
                since, connection = self._idle.pop()
            except IndexError:
                # Another thread took it.
                break
            if time.monotonic() - since < MAX_IDLE_SECONDS:
                return connection
            connection.close()
        try:
            connection = socket.create_connection(self._address, _CONNECT_SECONDS)
        except OSError as error:
            raise unavailable(f"{self._address}: {error}") from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _bytes_of(self, request: Outgoing) -> bytes:
        body = request.body
        if body is not None and not isinstance(body, bytes):
            body = b"".join(body)
        lines = [f"{request.verb} {request.target} HTTP/1.1\r\n", self._host]
        lines += [f"{name}: {value}\r\n" for name, value in request.headers.items()]
        if body is None:
            return "".join([*lines, "\r\n"]).encode("ascii")
        return "".join([*lines, f"Content-Length: {len(body)}\r\n\r\n"]).encode("ascii") + body


def _read_answer(connection: socket.socket) -> WholeAnswer:
    """Read one answer.

    Raises:
        ValueError: it is not one that our servers give.
        OSError: it breaks off.
    """
    received = connection.recv(_AT_ONCE)
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += _more(connection)
    first, *lines = received[:end].decode("latin-1").split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    whole = end + 4 + _length_of(headers)
    while len(received) < whole:
        received += _more(connection)
    return WholeAnswer(int(first[9:12]), headers, received[end + 4 : whole])


def _length_of(headers: Sequence[tuple[str, str]]) -> int:
    for name, value in headers:
        if name.lower() == "content-length":
            return int(value)
    raise ValueError("an answer without Content-Length")


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(_AT_ONCE)
    if not data:
        raise ConnectionResetError("the connection was closed")
    return data
