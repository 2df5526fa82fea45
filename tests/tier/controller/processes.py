"""The controller tier as a process of its own, over the fake service tier."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from tests.stores.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 30


class ControllerProcess:
    """Started on enter, stopped on leave; what it writes is kept."""

    def __init__(self, service_url: str, **settings: str) -> None:
        self.folder = ROOT / "build"
        self.environ = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE")},
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "shared_protos")]),
            "CONTROLLER_BIND": "127.0.0.1:0",
            "PUBLIC_GRPC_BIND": "127.0.0.1:0",
            "SERVICE_URL": service_url,
            "DOWNLOAD_SECRET": "d" * 32,
            "WEB_WORKERS": "2",
            "WEB_THREADS": "4",
            **{name.upper(): value for name, value in settings.items()},
        }
        self._lines: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self.url = ""
        # Where the public gRPC API listens, "" where it does not.
        self.grpc_address = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "controller_tier.main"],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        address = eventually(self._address, START_SECONDS, "the controller tier listens")
        self.url = f"http://{address}"
        self.grpc_address = self._told("serving_grpc")
        eventually(self._answers, START_SECONDS, "the controller tier answers")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process = self.process
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._reader is not None:
            self._reader.join(5)
        if process.stdout is not None:
            process.stdout.close()

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    def terminate(self, number: int = signal.SIGTERM, seconds: float = 20) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def logs(self) -> list[dict[str, object]]:
        """Return what it logged so far, less what is no JSON."""
        return [json.loads(line) for line in list(self._lines) if line.startswith("{")]

    def text(self) -> str:
        """Return everything it wrote so far."""
        return "".join(list(self._lines))

    def _address(self) -> str:
        assert self.process.poll() is None, self.text()
        return self._told("serving")

    def _told(self, event: str) -> str:
        for entry in self.logs():
            if entry["event"] == event:
                return str(entry["address"])
        return ""

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/health/live", timeout=5).ok
        except requests.ConnectionError:
            return False

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)
