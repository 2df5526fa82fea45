"""The audit log as a file: JSON lines that are only ever added."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path
from typing import Annotated

import orjson
from pydantic import AfterValidator

from tier_runtime.audit import LOGGER, Act, AuditTrail, LoggedActs
from tier_runtime.clock import Clock
from tier_runtime.logs import get_logger
from tier_runtime.redaction import redact
from tier_runtime.startup import StartupError

# Nobody but the owner may read who did what.
_MODE = 0o600
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT
# A file that is removed between a look at it and the line is begun anew; more often in a row than
# that it only is where a file system does not tell one file from another.
_MOST_WRITES = 8


class AuditFile:
    """Adds one JSON line for each act to a file, which it opens again once that was moved away.

    Several processes may share the file: each line is one write with O_APPEND, which Linux does
    not mix with others on a file system of its own (on NFS it may). A line that goes into a file
    which is removed by then is written once more, since whoever removed it may have read it before.
    What cannot be written goes into the log instead, as an error.
    """

    def __init__(self, path: Path, tier: str, clock: Clock) -> None:
        self._path = path
        self._tier = tier
        self._clock = clock
        self._lock = threading.Lock()
        self._descriptor = -1
        # Device and inode of the file that is open.
        self._opened = (0, 0)
        self._is_torn = False

    @classmethod
    def open(cls, path: Path, tier: str, clock: Clock) -> AuditFile:
        """Open the file, and make it where it is missing.

        Raises:
            StartupError: it cannot be written to.
        """
        made = cls(path, tier, clock)
        try:
            made._reopen()
        except OSError as error:
            raise StartupError(
                f"AUDIT_LOG_FILE: cannot write to {path}: {error.strerror}."
            ) from error
        return made

    def record(self, act: Act) -> None:
        """Add the line of an act."""
        fields = act.fields()
        line = _line({"time": self._now(), "tier": self._tier, **fields})
        try:
            with self._lock:
                self._append(line)
        except OSError as error:
            # The log is the last place that is left for it.
            get_logger(LOGGER).error(
                "act_not_in_file", path=str(self._path), why=error.strerror, **fields
            )

    def close(self) -> None:
        """Close the file; a record after that opens it again."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def _append(self, line: bytes) -> None:
        for _ in range(_MOST_WRITES):
            if self._descriptor < 0 or not self._is_where_it_was():
                self._reopen()
            self._write(line)
            if not self._is_removed():
                return
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    def _write(self, line: bytes) -> None:
        # Where the rest of the line before is missing, this one must not be lost with it.
        whole = b"\n" + line if self._is_torn else line
        written = os.write(self._descriptor, whole)
        self._is_torn = written < len(whole)
        if self._is_torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _is_removed(self) -> bool:
        """True if nobody who comes from now on finds what is in the file that is open.

        A file system that counts no links tells of none, so the path is looked at too.
        """
        return os.fstat(self._descriptor).st_nlink == 0 and not self._is_where_it_was()

    def _is_where_it_was(self) -> bool:
        """True unless the file was renamed or removed, as by whatever rotates it."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == self._opened

    def _reopen(self) -> None:
        descriptor = os.open(self._path, _FLAGS, _MODE)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        found = os.fstat(descriptor)
        self._descriptor = descriptor
        self._opened = (found.st_dev, found.st_ino)
        # As after a full disk, and a process that ended before there was room again.
        self._is_torn = found.st_size > 0 and not _ends_a_line(self._path)

    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="microseconds").replace("+00:00", "Z")


def open_trail(path: Path | None, tier: str, clock: Clock) -> AuditTrail:
    """Return the audit log that a path names, or the one in the tier's own log if there is none.

    Raises:
        StartupError: the file cannot be written to.
    """
    return LoggedActs() if path is None else AuditFile.open(path, tier, clock)


def require_appendable(path: Path | None) -> Path | None:
    """Return a path that lines can be added to; nothing is opened or made.

    Raises:
        ValueError: it is no plain file, or it or its folder is not ours to write to.
    """
    if path is None:
        return None
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise ValueError(f"no file can be made in {path.parent}") from None
        return path
    except OSError as error:
        raise ValueError(f"cannot be looked at: {error.strerror}") from error
    if not stat.S_ISREG(kind):
        raise ValueError(f"{path} is no plain file")
    if not os.access(path, os.W_OK):
        raise ValueError(f"{path} cannot be written to")
    return path


# A setting that names the file; None leaves the acts in the tier's own log.
AuditPath = Annotated[Path | None, AfterValidator(require_appendable)]


def _ends_a_line(path: Path) -> bool:
    """True unless the last line of a file that is not empty was cut off, as far as it is known."""
    try:
        with path.open("rb") as written:
            written.seek(-1, os.SEEK_END)
            return written.read(1) == b"\n"
    except OSError:
        # To add to a file one need not be allowed to read it.
        return True


def _line(fields: dict[str, object]) -> bytes:
    # As in the log: whatever a caller sent as an id, no token and no address gets in.
    kept = {name: redact(value, name) for name, value in fields.items()}
    return orjson.dumps(kept, option=orjson.OPT_APPEND_NEWLINE)
