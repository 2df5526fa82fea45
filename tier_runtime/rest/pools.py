"""Kept-alive connections to one address: urllib3's pool, with our idea of time.

To urllib3 and to the socket under it a timeout begins anew with each byte. Here it is one span
for all of a request: connecting, sending, waiting and reading.
"""

from __future__ import annotations

import errno
import random
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.timeout import Timeout

from tier_runtime.rest.flight import Flight
from tier_runtime.tls.files import TlsFiles

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

# Our servers keep an idle connection longer, so a request never meets one that is being closed
# because it was idle.
MAX_IDLE_SECONDS = 15.0
# Beyond it a peer that does not answer at all is taken for gone.
CONNECT_SECONDS = 1.0
# Connections kept for the next request; there may be more at a time.
KEPT_CONNECTIONS = 256

# Which flight a thread is sending for; urllib3 makes and picks the connections.
_sending: ContextVar[Flight] = ContextVar("arcana_flight")


class _Pool(HTTPConnectionPool):
    """What pools are with TLS and without."""

    _max_age: float

    def send(
        self,
        verb: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
        flight: Flight,
    ) -> BaseHTTPResponse:
        """Send a request and return its answer as soon as it begins.

        Raises:
            urllib3.exceptions.HTTPError: there is no answer.
            FlightCancelledError: somebody ended it.
        """
        left = flight.remaining()
        token = _sending.set(flight)
        try:
            return self.urlopen(
                verb,
                target,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=Timeout(
                    # urllib3 takes no 0.
                    total=None if left is None else max(left, 0.001),
                    connect=CONNECT_SECONDS,
                ),
                preload_content=False,
                decode_content=False,
                chunked=body is not None and not isinstance(body, bytes),
            )
        finally:
            _sending.reset(token)

    def _new_conn(self) -> Any:
        connection: Any = super()._new_conn()
        # As gRPC does it, so that not all of them begin anew at the same time.
        connection.max_age_seconds = self._max_age * random.uniform(0.9, 1.1)  # noqa: S311 - spreads, guards nothing.
        return connection

    def _put_conn(self, conn: Any) -> None:
        # Before anybody else can get it: a late cancel must not hit another's request.
        # urllib3 puts None back when there was no connection to be had.
        if conn is not None:
            conn.leave()
        super()._put_conn(conn)


class AddressPool(_Pool):
    """The connections to one address, each used for so many seconds at most."""

    def __init__(self, host: str, port: int, max_age_seconds: float) -> None:
        super().__init__(host, port, maxsize=KEPT_CONNECTIONS, block=False)
        self.ConnectionCls = _Connection
        self._max_age = max_age_seconds


class TlsAddressPool(_Pool, HTTPSConnectionPool):
    """The same with TLS; the peer's certificate must be for `name`."""

    def __init__(
        self, host: str, port: int, max_age_seconds: float, context: ssl.SSLContext, name: str
    ) -> None:
        super().__init__(
            host,
            port,
            maxsize=KEPT_CONNECTIONS,
            block=False,
            ssl_context=context,
            server_hostname=name,
        )
        self.ConnectionCls = _TlsConnection
        self._max_age = max_age_seconds


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return how connections of a pool are protected.

    Raises:
        TlsFilesError: the files cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    files.load_into(context)
    # The class of what it wraps; typeshed knows it by that of contexts only.
    context.sslsocket_class = _TimedTlsSocket
    return context


class _Connection(HTTPConnection):
    """A connection that belongs to a flight while it is out of its pool."""

    _flight: Flight | None = None
    _idle_since = 0.0
    _connected_at = 0.0
    max_age_seconds = 0.0

    @property
    def is_connected(self) -> bool:
        """False also when the server may be closing it, idle as it was, or it is old.

        One process of several that share an address keeps a connection for good. Those that
        start later get their part of the requests only where connections begin anew.
        """
        now = time.monotonic()
        is_stale = now - self._idle_since > MAX_IDLE_SECONDS
        is_old = now - self._connected_at > self.max_age_seconds
        if self.sock is not None and (is_stale or is_old):
            return False
        return super().is_connected

    def connect(self) -> None:
        """Connect, within what a connection may take."""
        # With TLS that happens before there is a request.
        self._flight = _sending.get()
        super().connect()
        self._connected_at = time.monotonic()
        self._board()

    def request(self, *arguments: Any, **options: Any) -> None:
        """Send a request."""
        self._flight = _sending.get()
        self._idle_since = time.monotonic()
        if self.sock is not None:
            self._board()
        super().request(*arguments, **options)

    def leave(self) -> None:
        """Belong to no flight."""
        flight, self._flight = self._flight, None
        self._idle_since = time.monotonic()
        if flight is not None:
            flight.leave()

    def _new_conn(self) -> socket.socket:
        plain = super()._new_conn()
        timed = _TimedSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
        # A file descriptor knows nothing of Python's timeouts.
        timed.settimeout(self.timeout)
        return timed

    def _board(self) -> None:
        flight = self._flight
        if flight is not None:
            # The time that an earlier request had left is still set.
            self.sock.settimeout(flight.remaining())
            flight.board(self.sock)


class HandshakeError(NewConnectionError):
    """There is a peer, and no TLS with it."""


class _TlsConnection(_Connection, HTTPSConnection):
    """The same with TLS."""

    def connect(self) -> None:
        """Connect and shake hands, each within what a connection may take."""
        try:
            super().connect()
        except TimeoutError as error:
            # To urllib3 it would be an answer that comes too late.
            raise ConnectTimeoutError(self, "The peer does not shake hands.") from error
        except (ssl.SSLError, ConnectionError) as error:
            # As where there is no connection: nothing was sent, so another address may be asked.
            raise HandshakeError(self, "The peer does not shake hands.") from error


class _Timed(socket.socket):
    """A socket whose timeout is for everything that is received after it was set."""

    _until: float | None = None

    def settimeout(self, value: float | None) -> None:
        """Let everything from now on take so many seconds altogether."""
        self._until = None if value is None else time.monotonic() + value
        # Zero would mean: do not wait, and fail in another way.
        super().settimeout(None if value is None else max(value, 0.001))

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        """Receive what has come, or what comes before the time is over."""
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            super().settimeout(left)
        return super().recv_into(*arguments, **options)


class _TimedSocket(_Timed):
    """Without TLS."""


class _TimedTlsSocket(_Timed, ssl.SSLSocket):
    """With TLS."""

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of it.

        Raises:
            BrokenPipeError: the peer has closed its side. By that urllib3 knows that there may be
                an answer already, which refuses what was being sent.
        """
        try:
            super().sendall(data, flags)
        except ssl.SSLEOFError as error:
            raise BrokenPipeError(errno.EPIPE, "The peer takes no more.") from error
