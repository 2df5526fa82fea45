"""The connections of an HTTP server that shakes hands with peers of our authority only."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

from tier_runtime.logs import get_logger
from tier_runtime.tls.admission import ServerTls
from tier_runtime.tls.files import Reloaded, TlsFiles

# A peer that falls silent in the middle of it holds a thread for so long.
HANDSHAKE_SECONDS = 5.0
# Peers that only look whether the port is open, and those that are gone, are no attempt.
_LEFT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError, TimeoutError)


def context_source(tls: ServerTls, silence_seconds: float) -> Callable[[], ssl.SSLContext]:
    """Return what gives the context for a new connection: made of the files as they are then.

    Raises:
        TlsFilesError: the files cannot be used.
    """

    class Connection(ssl.SSLSocket):
        """A connection with a peer whose certificate is good."""

        # The DNS names in it.
        peer_names: tuple[bytes, ...] = ()

        def do_handshake(self, block: bool = False) -> None:
            """Shake hands, and say who could not."""
            self.settimeout(HANDSHAKE_SECONDS)
            try:
                super().do_handshake(block)
            except _LEFT:
                raise
            except ssl.SSLError as error:
                tls.refusals.add("handshake")
                get_logger(__name__).warning(
                    "peer_refused", reason="handshake", error=error.reason, address=_address(self)
                )
                raise
            self.settimeout(None)
            self.peer_names = _dns_names(self.getpeercert() or {})

        def settimeout(self, value: float | None) -> None:
            """Set it; where there would be none, as for how long a client may be silent.

            Under TLS the time-out that the listener gave to the kernel has no effect: Python asks
            again.
            """
            super().settimeout(silence_seconds if value is None else value)

        def setblocking(self, flag: bool) -> None:
            """Wait when reading, as long as `settimeout` says, or do not wait."""
            self.settimeout(None if flag else 0.0)

    def make(files: TlsFiles) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        # A ticket would make the client's side readable although no answer has begun.
        context.num_tickets = 0
        files.load_into(context)
        context.sslsocket_class = Connection
        return context

    return Reloaded(tls.files, make).current


def names_of(connection: Any) -> tuple[bytes, ...]:
    """Return the names of the peer at the other end of a WSGI server's connection, if any."""
    names: tuple[bytes, ...] = getattr(connection, "peer_names", ())
    return names


def _dns_names(certificate: Any) -> tuple[bytes, ...]:
    names = certificate.get("subjectAltName", ())
    return tuple(name.encode() for kind, name in names if kind == "DNS")


def _address(connection: socket.socket) -> str:
    try:
        host, port = connection.getpeername()[:2]
    except OSError:
        return ""
    return f"{host}:{port}"
