"""Request bodies that the application leaves unread, or reads while they still come."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from gunicorn.http.body import (  # type: ignore[import-untyped]  # ships no types
    ChunkedReader,
    LengthReader,
)
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]

from tier_runtime.wsgi_environ import TAKE_INPUT, WAITED_SECONDS

# Of a body that nobody read, so much is read and thrown away to keep the connection.
DRAINED_BYTES = 256 * 1024
# In so much time altogether: a client may send its body byte by byte.
DRAIN_SECONDS = 1.0
_STEP = 16 * 1024
# Of a body, so much is taken from the socket at a time: gunicorn would take a megabyte, and have
# several copies of it in memory for each body that comes.
RECEIVED_BYTES = 64 * 1024


class ClosesWhatIsUnread:
    """Reads what the application left of a body, or says that the connection ends.

    gunicorn closes a connection on which more than 64 kB are unread, after an answer that promised
    to keep it: the client's next request would be lost.

    `serving` tells, for the thread that asks, its `request`, its `connection`, and how long the
    request `waited` for it.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], serving: threading.local) -> None:
        self._app = app
        self._serving = serving

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        serving = self._serving

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if not _is_drained(environ["wsgi.input"], serving.connection.parser.unreader):
                serving.request.force_close()
            return start_response(status, headers, exc_info)

        serving.connection.parser.unreader.max_body_chunk = RECEIVED_BYTES
        environ[WAITED_SECONDS] = serving.waited
        environ[TAKE_INPUT] = partial(_take, environ["wsgi.input"])
        return self._app(environ, start)


class _ImpatientSocket:
    """Receives until a time. A timeout of the socket itself begins anew with each byte."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._until = time.monotonic() + seconds

    def recv(self, size: int) -> bytes:
        """Return what has come; raise TimeoutError when the time is over."""
        remaining = self._until - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._connection.settimeout(remaining)
        return self._connection.recv(size)


def _take(body: Any) -> bytes:
    reader = body.reader
    try:
        if isinstance(reader, LengthReader):
            return _received(reader)
        if not isinstance(reader, ChunkedReader):
            part: bytes = reader.read(_STEP)
            return part
        # Asked for one byte, it fetches one chunk; the others are there then.
        first: bytes = reader.read(1)
        return first + reader.read(reader.buf.tell()) if first else b""
    except (OSError, ParseException):
        # Where the next request begins is not known any more.
        body.failed = True
        raise


def _received(reader: Any) -> bytes:
    """Return what has come of a body of known length; its own reading waits for all it is asked."""
    if not reader.length:
        return b""
    received: bytes = reader.unreader.read(None, read_ahead=reader.length)
    part, rest = received[: reader.length], received[reader.length :]
    if rest:
        # The beginning of the connection's next request.
        reader.unreader.unread(rest)
    reader.length -= len(part)
    return part


def _is_drained(body: Any, unreader: Any) -> bool:
    if isinstance(body.reader, LengthReader) and not body.reader.length:
        # There is none, or it has been read to its end.
        return True
    connection = unreader.sock
    unreader.sock = _ImpatientSocket(connection, DRAIN_SECONDS)
    try:
        for _ in range(DRAINED_BYTES // _STEP):
            if not body.read(_STEP):
                return True
    except (OSError, ParseException):
        return False
    finally:
        unreader.sock = connection
        # As gunicorn has it while a thread serves: blocking, within the listener's own timeout.
        connection.setblocking(True)
    return False
