"""Finds, in what a process writes to standard error, the lines in which gRPC tells a handshake."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

# A line that is longer is handed on without its end having been seen. The core's have 300 bytes.
LONGEST_LINE_BYTES = 16 * 1024
# As much of the core's own words as an event holds.
_LONGEST_DETAIL = 200

# Anywhere in a line: another thread may have written half of one just before. As of grpcio 1.8x,
# src/core/tsi/ssl_transport_security.cc writes it at level INFO, in one piece.
_TOLD = re.compile(
    rb"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ssl_transport_security\.cc:\d+\] "
    rb"Handshake failed with error ([^\n]*)\n"
)
_REASON = re.compile(r"OPENSSL_internal:([A-Z0-9_]{1,80})")
_UNCLEAN = re.compile(r"[^\w :.,()'/-]+", re.ASCII)
# What BoringSSL says of a certificate that it never came to check.
_SAYS_NOTHING = ": Invalid certificate verification context"
# The peer turns us away, not we it: an alert of its own, and one in plaintext where BoringSSL waits
# for something encrypted, as OpenSSL's clients send it with TLS 1.3.
_ALERT = "_ALERT_"
_PLAIN_ALERT = "BAD_PACKET_LENGTH"


@dataclass(frozen=True, slots=True)
class RefusedHandshake:
    """Why the core refused a peer.

    Attributes:
        error: BoringSSL's word for it, as CERTIFICATE_VERIFY_FAILED.
        detail: all that the core said, without what a log cannot hold, 200 characters at most.
    """

    error: str
    detail: str


class HandshakeLines:
    """Splits a stream of bytes into refused handshakes and all the rest. For one thread.

    `rest` is called with what is no such line, in its order and unchanged; `refused` with each
    handshake. The beginning of a line is held back until its end comes, `hold_no_longer` is called,
    or it has become too long to be the core's.
    """

    def __init__(
        self, rest: Callable[[bytes], None], refused: Callable[[RefusedHandshake], None]
    ) -> None:
        self._rest = rest
        self._refused = refused
        self._held = b""

    @property
    def is_holding(self) -> bool:
        """Whether the beginning of a line is held back."""
        return bool(self._held)

    def feed(self, data: bytes) -> None:
        """Take what was written next."""
        lines, end, self._held = (self._held + data).rpartition(b"\n")
        self._pass_on(lines + end)
        if len(self._held) > LONGEST_LINE_BYTES:
            self.hold_no_longer()

    def hold_no_longer(self) -> None:
        """Hand on what is held back, although its line has no end yet."""
        held, self._held = self._held, b""
        if held:
            self._rest(held)

    def _pass_on(self, lines: bytes) -> None:
        done = 0
        for match in _TOLD.finditer(lines):
            refused = _refused(match[1])
            if refused is None:
                continue
            if match.start() > done:
                self._rest(lines[done : match.start()])
            self._refused(refused)
            done = match.end()
        if done < len(lines):
            self._rest(lines[done:])


def _refused(said: bytes) -> RefusedHandshake | None:
    """Return why the core refused its peer; None if it was the peer that refused us."""
    text = said.decode("ascii", "replace").removesuffix(_SAYS_NOTHING)
    found = _REASON.search(text)
    error = found[1] if found else "UNKNOWN"
    if _ALERT in error or error == _PLAIN_ALERT:
        return None
    return RefusedHandshake(error, _UNCLEAN.sub(" ", text)[:_LONGEST_DETAIL].strip())
