"""One tier as a child process: starting it, passing its log on, and ending it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from launcher.parent import PARENT_VARIABLE

TAIL_LINES = 10
# How long what a tier left behind may keep its log open after the tier has ended.
LOG_SECONDS = 2.0

Write = Callable[[str, str], None]
Ended = Callable[["ChildProcess"], None]


class ChildProcess:
    """A process whose output goes line by line to `write(name, line)`.

    It has a process group of its own: Ctrl-C in a terminal reaches the launcher alone, which then
    stops its children in order. On Linux it is told to end when the launcher is gone.

    Args:
        words: what to run after this Python's `-m launcher.cli`.
        ended: called once, from another thread, when it has ended and its log is complete.
    """

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        environ: Mapping[str, str],
        write: Write,
        ended: Ended,
    ) -> None:
        self.name = name
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._write = write
        self._ended = ended
        self._process = subprocess.Popen(
            [sys.executable, "-m", "launcher.cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**environ, PARENT_VARIABLE: str(os.getpid()), "PYTHONUNBUFFERED": "1"},
            process_group=0,
        )
        self._log = threading.Thread(target=self._pass_on, name=f"log of {name}", daemon=True)
        self._log.start()
        threading.Thread(target=self._watch, name=f"end of {name}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its process group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code, minus the signal's number if one ended it; None while it runs."""
        return self._process.poll()

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to it and to everything it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _watch(self) -> None:
        self._process.wait()
        # A tier that was killed outright may leave workers behind, which hold its port.
        self.kill()
        self._log.join(LOG_SECONDS)
        self._ended(self)

    def _pass_on(self) -> None:
        stream: IO[str] | None = self._process.stdout
        if stream is None:
            return
        with stream:
            for line in stream:
                text = line.rstrip("\n")
                if text.strip():
                    self.tail.append(text)
                self._write(self.name, text)


def how_it_ended(exit_code: int) -> str:
    """Say in words what an exit code of a child means."""
    if exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
