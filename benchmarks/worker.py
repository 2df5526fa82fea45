"""A process that does what the harness tells it: one JSON line in, one JSON line out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_END_SECONDS = 20.0

Command = Mapping[str, Any]
Answer = Callable[[Command], Mapping[str, Any]]


class BenchmarkError(Exception):
    """The run cannot go on, or must not: its figures would not be true."""


def serve_commands(answers: Mapping[str, Answer]) -> None:
    """Answer commands by their "do" until stdin ends; a BenchmarkError is an answer too."""
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer: Mapping[str, Any] = {"ok": answers[command["do"]](command)}
        except BenchmarkError as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


class Worker:
    """The harness's side of such a process. Use as a context manager.

    Args:
        words: the module and its arguments, after this Python's `-m`.
        environ: all that it sees; this checkout's folders are in its PYTHONPATH.
        log: where its standard error goes; emptied before each command. It runs in that folder,
            which is the run's own: a `.env` of the checkout must not be read.
    """

    def __init__(self, words: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self.name = " ".join(words[:2])
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=log.parent,
                env=environ,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, do: str, **details: Any) -> Any:
        """Send a command and return its answer.

        Raises:
            BenchmarkError: it failed, or the process has ended.
        """
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise BenchmarkError(f"{self.name} has no pipes")
        self._log.open("wb").close()
        try:
            process.stdin.write(json.dumps({"do": do, **details}) + "\n")
            process.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error
        line = process.stdout.readline()
        if not line:
            raise self._ended()
        answer = json.loads(line)
        if "error" in answer:
            raise BenchmarkError(f"{self.name}: {answer['error']}")
        return answer["ok"]

    def _ended(self) -> BenchmarkError:
        code = self._process.wait(_END_SECONDS)
        said = self._log.read_text(errors="replace")[-2000:]
        return BenchmarkError(f"{self.name} ended with exit code {code}:\n{said}")

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let it end; kill it when it does not."""
        process = self._process
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
