"""Passes the acts of a tier's audit file on to standard output, and takes away what was passed on.

`python -m tier_runtime.audit_stream FILE` runs in a container beside the tier's, with which it
shares the file's folder: whoever collects the logs of containers then has the acts by themselves,
and the folder never holds more than a few seconds of them. Nobody else may rotate the file.

It imports little, since a replica of a tier has one of these each.
"""

from __future__ import annotations

import glob
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import BinaryIO

# Who looked at the file just before it was moved adds his line to the one that was moved, nearly
# always within one turn; who is later finds the file removed, and writes the line again.
TURN_SECONDS = 2.0
# Moved files are passed on by their names: as text, these numbers are in the order of time.
_DIGITS = 12


class AuditStream:
    """Moves a file away in one turn and passes it on in the next.

    A stream that is killed between passing a file on and removing it passes it on again when it
    is started again: a line may come twice, and none is lost.
    """

    def __init__(self, path: Path, out: BinaryIO) -> None:
        self._path = path
        self._out = out

    def turn(self) -> None:
        """Pass on what was moved away before, and move away what has come since.

        Raises:
            OSError: something could not be read, written, moved or removed; all is still there.
        """
        moved = self._moved()
        for file in moved:
            self._pass_on(file)
        last = int(moved[-1].suffix[1:]) if moved else 0
        try:
            if self._path.stat().st_size > 0:
                self._path.rename(f"{self._path}.{last + 1:0{_DIGITS}}")
        except FileNotFoundError:
            # The tier has had nothing to tell since the last turn.
            return

    def _moved(self) -> list[Path]:
        # Whatever signs the name has, they stand for themselves.
        name = glob.escape(self._path.name)
        return sorted(self._path.parent.glob(f"{name}.{'[0-9]' * _DIGITS}"))

    def _pass_on(self, file: Path) -> None:
        with file.open("rb") as lines:
            self._write(lines)
            file.unlink()
            # What was added in between; a later line is its writer's to write again.
            self._write(lines)

    def _write(self, lines: BinaryIO) -> None:
        for line in lines:
            # What a full disk cut off must not take the next file's first line with it.
            whole = line if line.endswith(b"\n") else line + b"\n"
            if whole != b"\n":
                self._out.write(whole)
        self._out.flush()


def stream(
    path: Path, out: BinaryIO, is_stopping: threading.Event, seconds: float = TURN_SECONDS
) -> None:
    """Pass acts on, a turn every so many seconds, until told to stop; and then what is left."""
    acts = AuditStream(path, out)
    acts.turn()
    while not is_stopping.wait(seconds):
        acts.turn()
    # A container beside another ends after it, so nobody adds anything between these two.
    acts.turn()
    acts.turn()


def main(arguments: Sequence[str]) -> int:
    """Pass on the file among the arguments until a signal, and return the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tier_runtime.audit_stream FILE\n")
        return 1
    is_stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        is_stopping.set()

    # The first process of a container ignores every signal that it has no handler for.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    stream(Path(arguments[0]), sys.stdout.buffer, is_stopping)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
