"""The transports as the suite sees them: a tier is served, and channels to it are opened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import grpc
import psutil

from tests.stores.waiting import eventually
from tests.tier.transports.plans import TierPlan
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.inproc import InprocChannel, LocalServer
from tier_runtime.logs import get_logger
from tier_runtime.rest.channel import RestChannel

Wire = Literal["grpc", "http", "inproc"]
WIRES: tuple[Wire, ...] = ("grpc", "http", "inproc")
# What puts bytes on a socket.
SOCKETS: tuple[Wire, ...] = ("grpc", "http")

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 30.0
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A tier that is being served."""

    wire: Wire
    url: str
    in_process: Mapping[str, LocalServer] = field(default_factory=dict)

    def channel(self, **settings: Any) -> grpc.Channel:
        """Open a channel as a tier opens it; the caller closes it."""
        return open_channel(self.url, ChannelSettings(**settings), in_process=self.in_process)

    def bare_channel(self) -> grpc.Channel:
        """Open a channel as a stranger does: without our interceptors."""
        address = self.url.rpartition("/")[2]
        if self.wire == "http":
            return RestChannel([address], ChannelSettings())
        if self.wire == "inproc":
            return InprocChannel(self.in_process[self.url.partition(":")[2]])
        return grpc.insecure_channel(address)


class TierProcess:
    """A tier in a process of its own; what it writes is kept. Whoever makes it stops it."""

    def __init__(self, module: str, *arguments: str, environ: Mapping[str, str]) -> None:
        # Elsewhere than the project, whose `.env` it would read. A clean clone has no such folder.
        folder = ROOT / "build"
        folder.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, *("-X", "faulthandler"), "-m", module, *arguments],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "shared_protos")]),
                **environ,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def of_plan(cls, plan: TierPlan) -> TierProcess:
        """Start the tier of a plan."""
        told = json.dumps(asdict(plan))
        return cls("tests.tier.transports.tier_program", told, environ={})

    def address(self) -> str:
        """Return where it listens, once it does."""
        return str(self.logged("serving", 1)[0]["address"])

    def logged(self, event: str, count: int) -> list[dict[str, Any]]:
        """Wait for so many log lines of an event and return them."""

        def found() -> list[dict[str, Any]]:
            lines = self.log_lines(event)
            # Not an AssertionError: that would mean "not yet".
            if len(lines) < count and self._process.poll() is not None:
                raise RuntimeError(f"The tier has ended:\n{self.text()}")
            return lines if len(lines) >= count else []

        return eventually(found, START_SECONDS, f"{count} log lines of {event!r}")

    def log_lines(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of an event so far."""
        lines = [json.loads(line) for line in list(self._lines) if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    @property
    def pid(self) -> int:
        """The process that was started; it may have started others."""
        return self._process.pid

    def pids(self) -> set[int]:
        """Return the processes that it consists of now."""
        started = psutil.Process(self._process.pid)
        return {started.pid, *(child.pid for child in started.children(recursive=True))}

    def text(self) -> str:
        """Return everything it wrote so far."""
        return "".join(list(self._lines))

    def stop(self) -> int:
        """End it as an operator does, and return its exit code."""
        self._process.terminate()
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # It tells where each of its threads stands.
            self._process.send_signal(signal.SIGABRT)
            code = self._process.wait()
        self._reader.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)


@contextmanager
def served(wire: Wire, plan: TierPlan, below: Peer | None = None) -> Iterator[Peer]:
    """Serve a tier over this transport, on the tier below it, until the block ends."""
    if wire == "inproc":
        in_process = below.in_process if below else {}
        server = LocalServer(plan.make(in_process), plan.grpc(), get_logger("inproc"))
        server.start()
        try:
            yield Peer(wire, f"inproc:{plan.kind}", {**in_process, plan.kind: server})
        finally:
            server.stop(plan.grpc().drain_seconds)
        return
    process = TierProcess.of_plan(plan)
    try:
        yield Peer(wire, f"{wire}://{process.address()}")
    finally:
        code = process.stop()
    assert code == 0, process.text()[-3000:]
