"""`arcana` commands as processes, forked by one that has imported them already."""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tests.counting import uncounted

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0


class Program(Protocol):
    """What is asked of a process: a part of what `subprocess.Popen` has."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: signal.Signals, /) -> None: ...


class ForkedProgram:
    """One process; answers as a `subprocess.Popen` does."""

    def __init__(self, pid: int, words: Sequence[str]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._words = words
        self._ended = threading.Event()

    def poll(self) -> int | None:
        """Give the exit code; None while it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and give its exit code.

        Raises:
            subprocess.TimeoutExpired: it has not ended within `timeout` seconds.
        """
        if not self._ended.wait(timeout) or self.returncode is None:
            raise subprocess.TimeoutExpired(list(self._words), timeout or 0.0)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; to one that has ended, none."""
        if self.returncode is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                # It has ended and been waited for; the fork server's word of it is on its way.
                return

    def note_end(self, code: int) -> None:
        """Take note of its end."""
        self.returncode = code
        self._ended.set()


class ForkedPrograms:
    """The fork server's other side. Safe in threads."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._connection = ours
        self._lock = threading.Lock()
        self._answered = threading.Condition()
        self._started: list[int] = []
        self._running: dict[int, ForkedProgram] = {}
        self._ended: dict[int, int] = {}
        self._is_gone = False
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.system.fork_server", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env={
                    **uncounted(os.environ),
                    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "shared_protos")]),
                },
                pass_fds=[theirs.fileno()],
            )
        self._reader = threading.Thread(target=self._read, name="forked programs", daemon=True)
        self._reader.start()

    def start(
        self, words: Sequence[str], environ: Mapping[str, str], folder: Path, log: Path
    ) -> ForkedProgram:
        """Run `arcana` with these words; what it writes is added to the log."""
        order = {
            "words": list(words),
            "environ": dict(environ),
            "folder": str(folder),
            "log": str(log),
        }
        # Whoever reads it at once finds it empty, not missing.
        log.touch()
        with self._lock:
            self._connection.sendall(json.dumps(order).encode() + b"\n")
            with self._answered:
                if not self._answered.wait_for(
                    lambda: bool(self._started) or self._is_gone, START_SECONDS
                ):
                    raise TimeoutError(f"the fork server did not answer in {START_SECONDS:g} s")
                if not self._started:
                    raise RuntimeError("the fork server has ended; what it said is on stderr")
                pid = self._started.pop()
                program = ForkedProgram(pid, words)
                if pid in self._ended:
                    program.note_end(self._ended.pop(pid))
                else:
                    self._running[pid] = program
        return program

    @property
    def server_pid(self) -> int:
        """The process id of the fork server."""
        return self._server.pid

    def close(self) -> None:
        """End the fork server, and with it whatever it has started that still runs."""
        self._connection.shutdown(socket.SHUT_RDWR)
        self._server.wait(START_SECONDS)
        self._reader.join(START_SECONDS)
        self._connection.close()

    def _read(self) -> None:
        with self._connection.makefile("rb") as lines:
            for line in lines:
                self._take(json.loads(line))
        with self._answered:
            self._is_gone = True
            self._answered.notify_all()

    def _take(self, facts: Mapping[str, int]) -> None:
        with self._answered:
            if "started" in facts:
                self._started.append(facts["started"])
            elif "ended" in facts:
                program = self._running.pop(facts["ended"], None)
                if program is None:
                    # Sooner than its start has been told to whoever waits for it.
                    self._ended[facts["ended"]] = facts["code"]
                else:
                    program.note_end(facts["code"])
            self._answered.notify_all()


class ExecutedPrograms:
    """Starts each by itself, where a fork server cannot wait for its children (os.pidfd_open)."""

    def start(
        self, words: Sequence[str], environ: Mapping[str, str], folder: Path, log: Path
    ) -> Program:
        """Run `arcana` with these words; what it writes is added to the log."""
        with log.open("ab") as opened:
            return subprocess.Popen(
                [sys.executable, "-m", "launcher.cli", *words],
                stdin=subprocess.DEVNULL,
                stdout=opened,
                stderr=opened,
                cwd=folder,
                env={**environ, "ARCANA_PARENT_PID": str(os.getpid())},
            )


@functools.cache
def forked_programs() -> ForkedPrograms | ExecutedPrograms:
    """Give the one of this process; it ends with it."""
    if not hasattr(os, "pidfd_open"):
        return ExecutedPrograms()
    programs = ForkedPrograms()
    atexit.register(programs.close)
    return programs
