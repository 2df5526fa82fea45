"""Asking every worker process of the edge, one by one, over a connection to each."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.system.client import PATIENCE_SECONDS
from tests.system.running import RunningSystem
from tests.system.sockets import Socket, sockets_of

ATTEMPTS = 400


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any

    @property
    def code(self) -> str:
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""


class EveryWorker:
    """One open connection to each worker process of the edge. Use as a context manager.

    Which process a new connection lands in is the kernel's choice, so connections are opened until
    each has one; the operating system's table of sockets tells whose it is.
    """

    def __init__(self, arcana: RunningSystem, path: str, headers: Mapping[str, str]) -> None:
        address = urlsplit(arcana.unproxied_edge_url)
        self._host, self._port = address.hostname or "", address.port or 0
        self._path, self._headers = path, dict(headers)
        self._master = psutil.Process(arcana.pid("controller"))
        self._is_composed = arcana.wiring.is_composed
        self._fewest = 1 if arcana.wiring.mode == "monolithic" else 2
        self._connections: dict[int, http.client.HTTPConnection] = {}

    def __enter__(self) -> EveryWorker:
        try:
            self._connect()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def ask(self) -> dict[int, Answer]:
        """Send the request to each worker and give the answers by process id."""
        return {pid: self._send(connection) for pid, connection in self._connections.items()}

    def wait_until_all(self, reached: Callable[[Answer], bool], seconds: float, what: str) -> None:
        """Ask until every worker gives such an answer, and then hold them all to it."""
        begun = time.monotonic()
        late: dict[int, Answer] = self.ask()
        while not all(reached(answer) for answer in late.values()):
            if time.monotonic() - begun > seconds:
                raise AssertionError(f"{what}: not on every worker within {seconds:g} s: {late}")
            # Paced by the answers themselves: each is a whole trip through the edge.
            late = self.ask()
        for _ in range(5):
            again = self.ask()
            assert all(reached(answer) for answer in again.values()), f"{what}: undone by {again}"

    def _connect(self) -> None:
        workers = self._workers()
        assert len(workers) >= self._fewest, "a test of every worker needs several"
        spare: list[http.client.HTTPConnection] = []
        try:
            for _ in range(ATTEMPTS):
                connection = http.client.HTTPConnection(
                    self._host, self._port, timeout=PATIENCE_SECONDS
                )
                self._send(connection)
                owner = self._owner(workers, connection)
                # Held open, so that the next one has a reason to land elsewhere.
                if owner in self._connections:
                    spare.append(connection)
                else:
                    self._connections[owner] = connection
                if len(self._connections) == len(workers):
                    return
        finally:
            for connection in spare:
                connection.close()
        raise AssertionError(f"{ATTEMPTS} connections reached {len(self._connections)} workers")

    def _workers(self) -> list[psutil.Process]:
        """Find the children that accept connections at the edge's port."""
        return [
            child
            for child in self._master.children(recursive=True)
            if any(
                each.is_listening and each.local == self._port for each in self._sockets_of(child)
            )
        ]

    def _owner(self, workers: list[psutil.Process], connection: http.client.HTTPConnection) -> int:
        port = connection.sock.getsockname()[1]
        for worker in workers:
            for each in self._sockets_of(worker):
                if (each.local, each.remote) == (self._port, port):
                    return worker.pid
        raise AssertionError("no worker holds a connection that was just answered")

    def _sockets_of(self, process: psutil.Process) -> list[Socket]:
        return sockets_of(process, in_container=self._is_composed)

    def _send(self, connection: http.client.HTTPConnection) -> Answer:
        connection.request("GET", self._path, headers=self._headers)
        response = connection.getresponse()
        text = response.read()
        return Answer(response.status, json.loads(text) if text else None)

    def _close(self) -> None:
        for connection in self._connections.values():
            connection.close()
