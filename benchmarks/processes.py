"""The processes of a variant: started, found well, put to sleep between their turns, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.cpu import family
from benchmarks.worker import ROOT, BenchmarkError
from launcher.health import Condition

START_SECONDS = 60.0
STOP_SECONDS = 30.0
_POLL_SECONDS = 0.03
# Of the shell's environment. No setting of Arcana has such a name.
_LET_IN = frozenset(
    {"HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "VIRTUAL_ENV"}
)
# The second is how coverage.py finds the processes of a test.
_LET_IN_PREFIXES = ("LC_", "COVERAGE_")
# gunicorn's master kills a worker whose sign of life is old: workers wake first and give one.
_SIGN_OF_LIFE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Program:
    """One process of a variant.

    Attributes:
        name: the tier's, under which its CPU time is told.
        words: what runs, after this Python's `-m`.
        is_well: asks it how it is.
    """

    name: str
    words: Sequence[str]
    environ: Mapping[str, str]
    is_well: Callable[[], Condition]


class Stack:
    """The programs of one variant, from the inside outwards. Use as a context manager.

    All but the stack whose turn it is sleep (SIGSTOP), so that they cost nothing: a process that
    only polls and probes would be in the others' figures.
    """

    def __init__(self, name: str, programs: Sequence[Program], folder: Path) -> None:
        self.name = name
        self._programs = programs
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._families: dict[str, list[int]] = {}
        self._sleeps = False

    def __enter__(self) -> Stack:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start all programs at once, and wait until all are well."""
        for program in self._programs:
            self._spawn(program)
        for program in self._programs:
            self._wait_until_well(program)
        # By now gunicorn has forked its workers.
        self._families = {name: family(process.pid) for name, process in self._running.items()}

    def pids(self) -> dict[str, list[int]]:
        """Return the processes of each program by its name."""
        return self._families

    def sleep(self) -> None:
        """Stop all of it where it stands, from the edge inwards."""
        for program in reversed(self._programs):
            for pid in self._families[program.name]:
                self._signal(pid, signal.SIGSTOP)
        self._sleeps = True

    def wake(self) -> None:
        """Let all of it go on, from the inside outwards, and wait until it is well.

        Raises:
            BenchmarkError: a part of it has ended, or is not well in time.
        """
        self._resume()
        for program in self._programs:
            self._wait_until_well(program)
        for program in self._programs:
            self._log(program.name).open("wb").close()

    def close(self) -> None:
        """End what runs, from the edge inwards; kill what does not end."""
        self._resume()
        for program in reversed(self._programs):
            process = self._running.pop(program.name, None)
            if process is None:
                continue
            members = _members(process.pid)
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            # What is left of a gunicorn or granian whose master did not take its workers along.
            for member in members:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
            process.wait()

    def log_tail(self) -> str:
        """Return the end of what each program wrote."""
        return "\n".join(
            f"--- {program.name}\n{_tail(self._log(program.name))}" for program in self._programs
        )

    def _spawn(self, program: Program) -> None:
        # Appending, so that emptying the file between turns leaves no hole in it.
        with self._log(program.name).open("ab") as log:
            self._running[program.name] = subprocess.Popen(
                [sys.executable, "-m", *program.words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={**program.environ, "ARCANA_PARENT_PID": str(os.getpid())},
            )

    def _wait_until_well(self, program: Program) -> None:
        ends = time.monotonic() + START_SECONDS
        while True:
            process = self._running[program.name]
            if process.poll() is not None:
                raise BenchmarkError(f"{self.name}: {program.name} ended:\n{self.log_tail()}")
            condition = program.is_well()
            if condition.is_well:
                return
            if time.monotonic() > ends:
                raise BenchmarkError(
                    f"{self.name}: {program.name} is not well: {condition.detail}\n"
                    f"{self.log_tail()}"
                )
            time.sleep(_POLL_SECONDS)

    def _resume(self) -> None:
        if not self._sleeps:
            return
        self._sleeps = False
        for program in self._programs:
            master, *workers = self._families[program.name]
            for pid in workers:
                self._signal(pid, signal.SIGCONT)
            if workers:
                time.sleep(_SIGN_OF_LIFE_SECONDS)
            self._signal(master, signal.SIGCONT)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError as error:
            raise BenchmarkError(f"{self.name}: a process has ended:\n{self.log_tail()}") from error

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def environment(
    settings: Mapping[str, str], around: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return what a program sees: of the shell's environment only what any program needs.

    A developer's own COALESCE_MAX_BATCH, say, would be measured without anybody's knowledge.
    """
    return {
        **{name: value for name, value in around.items() if _is_let_in(name)},
        # A proxy that the environment names is not for tiers.
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "shared_protos")]),
        **settings,
    }


def _is_let_in(name: str) -> bool:
    return name in _LET_IN or name.startswith(_LET_IN_PREFIXES)


def _members(pid: int) -> list[psutil.Process]:
    try:
        return [psutil.Process(each) for each in family(pid)]
    except psutil.NoSuchProcess:
        return []


def _tail(log: Path, size: int = 2000) -> str:
    return log.read_text(errors="replace")[-size:] if log.exists() else ""
