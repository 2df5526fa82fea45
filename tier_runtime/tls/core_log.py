"""Counts the handshakes that gRPC's core refuses, of which it tells on standard error only.

While a server with TLS serves, file descriptor 2 is a pipe, and a thread hands on what comes out of
it to where descriptor 2 led before. The lines in which the core tells of a peer that it turned away
become events of our own log instead, and are counted.

The core says neither at which port it was nor on which side of a connection: all servers of the
process are told, and a server that a channel of this process turns away is counted like a client.
"""

from __future__ import annotations

import atexit
import faulthandler
import fcntl
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tier_runtime.logs import get_logger
from tier_runtime.tls.handshake_lines import HandshakeLines, RefusedHandshake
from tier_runtime.tls.refusals import Refusals

STDERR = 2
# With these the core writes no such lines.
_SILENT = frozenset({"none", "error"})
# How long the beginning of a line is held back.
_HOLD_MILLISECONDS = 50
# A full pipe makes whoever writes wait, with the interpreter's lock if Python itself is dying. So
# it holds the stacks of all threads.
_PIPE_BYTES = 1024 * 1024
_READ_BYTES = 64 * 1024
# How long the end waits for what is in the pipe, if whatever reads our standard error is slow or a
# child of ours holds the pipe open.
_FLUSH_SECONDS = 1.0
# How long a standard error that does not block may take no byte before what is there is lost.
_FULL_MILLISECONDS = 1000


@contextmanager
def handshakes_counted(refusals: Refusals) -> Iterator[None]:
    """Tell `refusals` of each handshake that the core refuses in this process, until the end.

    Several may do so at once. The log must not go to standard error. Where GRPC_VERBOSITY makes the
    core silent, or standard error is closed, a warning says that nothing is counted.
    """
    if os.environ.get("GRPC_VERBOSITY", "").lower() in _SILENT:
        get_logger(__name__).warning("handshakes_not_counted", because="GRPC_VERBOSITY")
        yield
        return
    if not _STDERR.join(refusals):
        get_logger(__name__).warning("handshakes_not_counted", because="stderr is closed")
        yield
        return
    try:
        yield
    finally:
        _STDERR.leave(refusals)


class _ReadStderr:
    """Descriptor 2 of this process while somebody wants it read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: tuple[Refusals, ...] = ()
        self._pipe: _Pipe | None = None

    def join(self, refusals: Refusals) -> bool:
        """Tell these too, from now on; False if there is no standard error."""
        with self._lock:
            if self._pipe is None or not self._pipe.is_ours:
                # A fork has the descriptor of its parent, and no thread that reads.
                self._told = ()
                try:
                    saved = os.dup(STDERR)
                except OSError:
                    return False
                self._pipe = _Pipe(saved, self._tell)
                atexit.register(self._pipe.close)
            self._told += (refusals,)
            return True

    def leave(self, refusals: Refusals) -> None:
        """Tell these no more, once what is in the pipe has been read; the last one ends it."""
        with self._lock:
            pipe, rest = self._pipe, [each for each in self._told if each is not refusals]
            if pipe is not None and not rest:
                self._pipe = None
                pipe.close()
                atexit.unregister(pipe.close)
            self._told = tuple(rest)

    def _tell(self, refused: RefusedHandshake) -> None:
        # Without the lock: whoever ends the pipe holds it, and waits for this thread.
        for refusals in self._told:
            refusals.add("handshake")
        get_logger(__name__).warning(
            "peer_refused", reason="handshake", error=refused.error, detail=refused.detail
        )


class _Pipe:
    """A pipe in the place of descriptor 2, and the thread that reads it."""

    def __init__(self, saved: int, tell: Callable[[RefusedHandshake], None]) -> None:
        self._reader, writer = os.pipe()
        self._saved = saved
        self._pid = os.getpid()
        self._tell = tell
        self._lines = HandshakeLines(self._hand_on, self._tell_safely)
        self._has_crash_log = _take_crash_log(saved)
        self._is_closed = False
        with suppress(OSError):
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        _flush()
        os.dup2(writer, STDERR)
        os.close(writer)
        self._thread = threading.Thread(target=self._read, name="stderr", daemon=True)
        self._thread.start()

    @property
    def is_ours(self) -> bool:
        """Whether this process made it, and no parent."""
        return self._pid == os.getpid()

    def close(self) -> None:
        """Put back descriptor 2, and hand on what is still in the pipe. Once is enough."""
        if self._is_closed or not self.is_ours:
            return
        self._is_closed = True
        _flush()
        if self._has_crash_log:
            _give_back_crash_log()
        # The pipe has no other writer, so its reader comes to an end; unless a child was started
        # in the meantime: then the thread serves the child for as long as it lives.
        os.dup2(self._saved, STDERR)
        self._thread.join(_FLUSH_SECONDS)

    def _read(self) -> None:
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        while True:
            if not poll.poll(_HOLD_MILLISECONDS if self._lines.is_holding else None):
                self._lines.hold_no_longer()
                continue
            data = os.read(self._reader, _READ_BYTES)
            if not data:
                break
            self._lines.feed(data)
        self._lines.hold_no_longer()
        os.close(self._reader)
        os.close(self._saved)

    def _tell_safely(self, refused: RefusedHandshake) -> None:
        try:
            self._tell(refused)
        except Exception:  # noqa: BLE001 - the thread's outermost: without it all writers would wait.
            get_logger(__name__).exception("handshake_not_counted")

    def _hand_on(self, data: bytes) -> None:
        left = memoryview(data)
        # Nobody reads it any more: so it was without the pipe.
        with suppress(OSError):
            while left:
                try:
                    left = left[os.write(self._saved, left) :]
                except BlockingIOError:
                    poll = select.poll()
                    poll.register(self._saved, select.POLLOUT)
                    if not poll.poll(_FULL_MILLISECONDS):
                        return


def _flush() -> None:
    # A program may have none, or one that is closed.
    with suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()


def _take_crash_log(descriptor: int) -> bool:
    """Have a crash told there: it stops the thread that reads the pipe. Return whether we do.

    Who enabled it in code has chosen a file.
    """
    if faulthandler.is_enabled() and not _starts_with_crash_log():
        return False
    faulthandler.enable(descriptor)
    return True


def _give_back_crash_log() -> None:
    if _starts_with_crash_log():
        faulthandler.enable(STDERR)
    else:
        faulthandler.disable()


def _starts_with_crash_log() -> bool:
    """Whether the interpreter was told to enable it, which it does on descriptor 2."""
    by_environment = not sys.flags.ignore_environment and os.environ.get("PYTHONFAULTHANDLER")
    return bool(sys.flags.dev_mode or "faulthandler" in sys._xoptions or by_environment)  # noqa: SLF001 - documented, for all to read


# A process has one standard error, whatever it serves.
_STDERR = _ReadStderr()
