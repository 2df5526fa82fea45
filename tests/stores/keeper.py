"""One holder of the servers per test run, also when pytest-xdist splits the run over processes.

The pytest process that controls the run owns a `Keeper`; nothing is started until a test wants a
real store. Workers ask it over a socket whose path they find in their environment.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Protocol

from tests.counting import uncounted
from tests.stores.servers import Servers

SOCKET_VARIABLE = "ARCANA_TEST_STORES_SOCKET"
ROOT = Path(__file__).resolve().parents[2]
CLOSE_SECONDS = 30.0


class ServerSource(Protocol):
    """Whoever can tell where the servers are."""

    def servers(self) -> Servers:
        """Tell; the first call may take as long as starting them does."""
        ...

    def close(self) -> None: ...


class Keeper:
    """Starts `python -m tests.stores --hold` on the first call and keeps it while we live."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._servers: Servers | None = None

    @property
    def found(self) -> Servers | None:
        """The servers, or None when nobody has asked for them in this run."""
        return self._servers

    def servers(self) -> Servers:
        with self._lock:
            if self._servers is None:
                self._servers = self._start()
            return self._servers

    def close(self) -> None:
        """Let the holder stop everything, and wait for it."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _start(self) -> Servers:
        # Coverage is for the tiers: this process would only lose its data when it is killed.
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.stores", "--hold"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=uncounted(os.environ),
            start_new_session=True,
        )
        self._process = process
        notes: list[str] = []
        for line in process.stdout or ():
            message = json.loads(line)
            if "servers" in message:
                return Servers(**message["servers"])
            notes.append(message["note"])
        return Servers(broken="the holder of the servers ended early", notes=notes)


class Reception:
    """Answers the workers of a split run from the keeper, on a socket of its own."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._folder = Path(tempfile.mkdtemp(prefix="arcana-reception-"))
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._folder / "socket"))
        self._listener.listen(64)
        os.environ[SOCKET_VARIABLE] = str(self._folder / "socket")
        self._thread = threading.Thread(target=self._answer, name="stores reception", daemon=True)
        self._thread.start()

    def close(self) -> None:
        os.environ.pop(SOCKET_VARIABLE, None)
        # Closing a listening socket does not wake its accept(); shutting it down does.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(CLOSE_SECONDS)
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answer(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            with caller:
                words = json.dumps(self._keeper.servers().to_dict()).encode()
                # A worker that was interrupted has hung up; the others still want their answer.
                try:
                    caller.sendall(words)
                except OSError:
                    continue


class RemoteKeeper:
    """A worker's side: asks the controlling process once."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._servers: Servers | None = None

    def servers(self) -> Servers:
        if self._servers is None:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
                line.connect(self._path)
                with line.makefile("rb") as answer:
                    self._servers = Servers(**json.loads(answer.read()))
        return self._servers

    def close(self) -> None:
        """Nothing here is ours."""
