"""The three files of a process: its certificate, its key, and the authority that it trusts.

They are replaced while the process runs: file by file, or all at once where a folder is a symbolic
link (as Kubernetes mounts secrets). Whoever uses them asks for what is current.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from tier_runtime.logs import get_logger
from tier_runtime.startup import StartupError

T = TypeVar("T")

# How often it is looked whether the files have changed; only while something asks for them.
LOOK_SECONDS = 0.5

# What tells one state of a file from another. A file that is replaced has another number.
_Stamp = tuple[tuple[int, int, int, int] | None, ...]


class TlsFilesError(StartupError):
    """The files cannot be used together."""


@dataclass(frozen=True, slots=True, repr=False)
class TlsContents:
    """What is in the files, as PEM."""

    certificate: bytes
    key: bytes
    authority: bytes


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificate chain, its key and the trusted authorities are, as PEM.

    Attributes:
        certificate: the certificate of this process, then those of intermediate authorities.
        key: its private key, not encrypted.
        authority: the authorities that peers' certificates must come from; while one replaces
            another, both.
    """

    certificate: Path
    key: Path
    authority: Path

    def require_usable(self) -> TlsContents:
        """Check that all three can be read and the key is the certificate's; return them.

        Raises:
            TlsFilesError: saying what is wrong.
        """
        contents = TlsContents(_read(self.certificate), _read(self.key), _read(self.authority))
        self.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return contents

    def load_into(self, context: ssl.SSLContext) -> None:
        """Make a context present the certificate and trust the authorities.

        Raises:
            TlsFilesError: saying what is wrong.
        """
        try:
            # Without a password OpenSSL would ask for one at the terminal.
            context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            raise TlsFilesError(
                f"{self.key} is not the unencrypted key of the certificate in {self.certificate}, "
                "both as PEM"
            ) from error
        try:
            context.load_verify_locations(self.authority)
        except (OSError, ValueError) as error:
            raise TlsFilesError(f"{self.authority} holds no certificate as PEM") from error

    def stamp(self) -> _Stamp:
        """Return what is another value once one of the files is another."""
        return tuple(_stamp(path) for path in (self.certificate, self.key, self.authority))


class Reloaded(Generic[T]):
    """What is made of the files, and made anew when they have changed. For any thread.

    What cannot be used changes nothing: the last that could stays in use. That is told once, as an
    error, and not before it has stood for a moment: of files that are replaced one by one, the
    first is there before the last.

    Raises:
        TlsFilesError: the files cannot be used to begin with.
    """

    def __init__(
        self,
        files: TlsFiles,
        make: Callable[[TlsFiles], T],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._make = make
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._stamp = files.stamp()
        self._value = make(files)
        self._look_at = monotonic() + LOOK_SECONDS
        self._doubted: _Stamp | None = None
        self._told: _Stamp | None = None

    def current(self) -> T:
        """Return what is made of the files as they are; the same object while they are the same."""
        if self._monotonic() >= self._look_at and self._lock.acquire(blocking=False):
            try:
                self._look_at = self._monotonic() + LOOK_SECONDS
                self._look()
            finally:
                self._lock.release()
        return self._value

    def _look(self) -> None:
        stamp = self._files.stamp()
        if stamp == self._stamp:
            return
        try:
            value = self._make(self._files)
            if self._files.stamp() != stamp:
                # What was read may be a part of each.
                return
        except TlsFilesError as error:
            if stamp == self._doubted and stamp != self._told:
                self._told = stamp
                get_logger(__name__).error("certificate_not_reloaded", error=str(error))
            self._doubted = stamp
            return
        self._stamp, self._value = stamp, value
        get_logger(__name__).info("certificate_reloaded", file=str(self._files.certificate))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsFilesError(f"cannot read {path}: {error.strerror}") from error


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
