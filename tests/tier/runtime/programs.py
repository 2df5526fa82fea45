"""Programs of this folder as processes, and calls to them from threads."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.stores.waiting import eventually
from tests.tier.runtime.arities import AritiesStub
from tier_runtime.channel import open_channel
from tier_runtime.errors import AppError


class Program:
    """A program of this folder, and what it has logged."""

    def __init__(self, module: str, *arguments: str) -> None:
        self.lines: list[dict[str, Any]] = []
        self._incoming: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.process = subprocess.Popen(
            [
                sys.executable,
                *("-m", f"tests.tier.runtime.{module}"),
                *arguments,
            ],
            # A process group of its own, for signals as a terminal sends them.
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._incoming.put(line)

    def logged(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until it has logged so many of these events."""

        def found() -> list[dict[str, Any]]:
            while not self._incoming.empty():
                self.lines.append(json.loads(self._incoming.get()))
            matching = [line for line in self.lines if line["event"] == event]
            return matching if len(matching) >= count else []

        return eventually(found, seconds=30, what=f"{count} of {event} in the log")

    def stub(self) -> AritiesStub:
        (line,) = self.logged("serving")
        self.channel = open_channel(f"grpc://{line['address']}")
        return AritiesStub(self.channel)

    def ended(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and what it wrote to stderr."""
        code = self.process.wait(timeout=30)
        self._reader.join(timeout=10)
        assert self.process.stderr is not None
        return code, self.process.stderr.read()

    def close(self) -> None:
        # Its workers with it; they hold its output open.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(timeout=10)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        if hasattr(self, "channel"):
            self.channel.close()


def in_background(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except AppError as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results
