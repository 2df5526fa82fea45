"""One tier as a child process: starting it, passing its log on, and ending it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from launcher.parent import PARENT_VARIABLE
from tier_runtime.startup import EXIT_NOT_STARTED

# How long what a tier left behind may keep its log open after the tier has ended.
LOG_SECONDS = 2.0

Write = Callable[[str, str], None]
Ended = Callable[["ChildProcess"], None]


class ChildProcess:
    """A process whose output goes line by line to `write(name, line)`.

    It has a process group of its own: Ctrl-C in a terminal reaches the launcher alone, which then
    stops its children in order. On Linux it is told to end when the launcher is gone.

    What it says on standard error is held back until `release`: it may be the reason not to start,
    which the launcher then tells, once. If it ends in another way, that is passed on then.

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
        self._write = write
        self._lock = threading.Lock()
        self._held: list[str] = []
        self._is_released = False
        self._ended = ended
        self._process = subprocess.Popen(
            [sys.executable, "-m", "launcher.cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**environ, PARENT_VARIABLE: str(os.getpid()), "PYTHONUNBUFFERED": "1"},
            process_group=0,
        )
        self._logs = [
            threading.Thread(target=_pass_on, args=each, name=f"log of {name}", daemon=True)
            for each in ((self._process.stdout, self._say), (self._process.stderr, self._hold))
        ]
        for log in self._logs:
            log.start()
        threading.Thread(target=self._watch, name=f"end of {name}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its process group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code, minus the signal's number if one ended it; None while it runs."""
        return self._process.poll()

    @property
    def reason(self) -> str:
        """Why it refused to start, as it said itself; empty if it ended in another way."""
        with self._lock:
            return "\n".join(self._held) if self.exit_code == EXIT_NOT_STARTED else ""

    def release(self) -> None:
        """Pass on what it has said on standard error, and from now on at once."""
        with self._lock:
            self._is_released = True
            for line in self._held:
                self._say(line)
            self._held.clear()

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
        for log in self._logs:
            log.join(LOG_SECONDS)
        if self.exit_code != EXIT_NOT_STARTED:
            self.release()
        self._ended(self)

    def _say(self, line: str) -> None:
        self._write(self.name, line)

    def _hold(self, line: str) -> None:
        with self._lock:
            if self._is_released:
                self._say(line)
            else:
                self._held.append(line)


def _pass_on(stream: IO[str], take: Callable[[str], None]) -> None:
    with stream:
        for line in stream:
            take(line.rstrip("\n"))


def how_it_ended(exit_code: int) -> str:
    """Say in words what an exit code of a child means."""
    if exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
