"""Requests' bodies: read whole within a bound, or line by line while the caller sends them."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types

from tier_runtime.deadline import deadline_exceeded
from tier_runtime.local_rpc import LocalContext, LocalRpcError
from tier_runtime.rest.codec import JsonCodec, JsonError
from tier_runtime.rest.limits import is_too_large, wire_bytes
from tier_runtime.rest.statuses import http_fault
from tier_runtime.tls.admission import PEER_NAMES
from tier_runtime.wsgi_environ import SOCKET, TAKE_INPUT


class BodyTooLargeError(Exception):
    """A message exceeds the bound."""


class BodyCutOffError(Exception):
    """Less came than was announced."""


class RestContext(LocalContext):
    """The context of an RPC whose caller may send what cannot be read."""

    # Set while the handler reads; it ends the RPC whatever the handler makes of it.
    fault: Status | None = None
    # What the caller is called in its certificate.
    peer_names: Sequence[bytes] = ()

    def auth_context(self) -> Mapping[str, Any]:
        """Return what TLS knows of the peer, as gRPC does."""
        return {PEER_NAMES: self.peer_names} if self.peer_names else {}


def read_body(environ: dict[str, Any], max_bytes: int) -> bytes:
    """Return the whole body.

    Raises:
        BodyTooLargeError: it is larger than `max_bytes`.
        BodyCutOffError: it ends before its announced length.
        OSError: its sender fell silent or has gone.
    """
    length = environ.get("CONTENT_LENGTH")
    if length:
        size = int(length)
        if size > max_bytes:
            raise BodyTooLargeError
        body: bytes = environ["wsgi.input"].read(size)
        if len(body) < size:
            # gunicorn ends it like any other when the client closes its side. What came may be
            # JSON by chance, and is not what was meant.
            raise BodyCutOffError
        return body
    if "HTTP_TRANSFER_ENCODING" not in environ:
        return b""
    body = environ["wsgi.input"].read(max_bytes + 1)
    if len(body) > max_bytes:
        raise BodyTooLargeError
    return body


class Presence:
    """Tells whether the caller is still there, by a look at its connection."""

    def __init__(self, environ: dict[str, Any]) -> None:
        # Servers other than gunicorn do not say; then the caller is there until its time is over.
        self._socket: socket.socket | None = environ.get(SOCKET)
        self.is_lost = False

    def __call__(self) -> bool:
        """Return False once the connection is closed."""
        if self._socket is None or self.is_lost:
            return not self.is_lost
        # Not by reading: what the caller sent before it left, and nobody has read, comes first.
        poll = select.poll()
        try:
            poll.register(self._socket, select.POLLRDHUP)
            # One that was reset is told unasked, as POLLHUP.
            self.is_lost = bool(poll.poll(0))
        except (OSError, ValueError):
            # This side has closed it.
            self.is_lost = True
        return not self.is_lost

    @contextlib.contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """Let nothing inside the block wait longer for the caller than this."""
        if self._socket is None:
            yield
            return
        # gunicorn's threads have it blocking, within the listener's own timeout.
        self._socket.settimeout(max(min(seconds, _LONGEST_WAIT_SECONDS), 0.001))
        try:
            yield
        finally:
            self._socket.setblocking(True)


# Sockets cannot wait for ever by a number.
_LONGEST_WAIT_SECONDS = 3600.0


def sent_messages(
    environ: dict[str, Any],
    codec: JsonCodec[Any],
    context: RestContext,
    presence: Presence,
    max_bytes: int,
) -> Iterator[Message]:
    """Yield the messages that the caller sends, one JSON text a line, as they come.

    Raises:
        AppError: the time is over.
        LocalRpcError: the caller has gone; or what it sent is the context's fault now.
    """
    lines = _lines(environ, wire_bytes(max_bytes))
    while True:
        try:
            with presence.waiting(context.time_remaining()):
                line = next(lines, None)
            if line is None:
                return
            message = codec.decode(line)
            if is_too_large(message, len(line), max_bytes):
                raise BodyTooLargeError
        except (OSError, BodyCutOffError) as error:
            if context.is_late:
                raise deadline_exceeded() from error
            # It fell silent, or closed the connection in the middle.
            presence.is_lost = True
            raise _gone() from error
        except (JsonError, BodyTooLargeError) as error:
            # As behind gRPC the handler learns only that nobody waits any more.
            context.fault = fault_of(error, max_bytes)
            presence.is_lost = True
            raise _gone() from error
        yield message


def fault_of(error: JsonError | BodyTooLargeError | BodyCutOffError, max_bytes: int) -> Status:
    """Return the status of a body that cannot be read."""
    if isinstance(error, BodyTooLargeError):
        return http_fault(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "BODY_TOO_LARGE",
            f"The message is larger than {max_bytes} bytes.",
        )
    code = grpc.StatusCode.INVALID_ARGUMENT
    if isinstance(error, BodyCutOffError):
        return http_fault(code, "MALFORMED_BODY", "The body is shorter than its Content-Length.")
    return http_fault(code, "MALFORMED_BODY", str(error), error.field)


def _lines(environ: dict[str, Any], max_bytes: int) -> Iterator[bytes]:
    body = environ["wsgi.input"]
    if "HTTP_TRANSFER_ENCODING" in environ and TAKE_INPUT in environ:
        parts = iter(environ[TAKE_INPUT], b"")
    else:
        parts = iter(lambda: body.readline(max_bytes + 1), b"")
    rest = b""
    missing = int(environ.get("CONTENT_LENGTH") or 0)
    for part in parts:
        missing -= len(part)
        *lines, rest = (rest + part).split(b"\n")
        if len(rest) > max_bytes:
            raise BodyTooLargeError
        yield from (line for line in lines if line.strip())
    if missing > 0:
        # As where the length is not known: its sender closed the connection in the middle.
        raise BodyCutOffError
    if rest.strip():
        yield rest


def _gone() -> LocalRpcError:
    return LocalRpcError(grpc.StatusCode.CANCELLED, "The caller has gone.")
