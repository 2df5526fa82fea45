"""A process that has imported all tiers, and forks one that runs an `arcana` command when asked.

Importing a tier takes most of the time of its start, and the suite starts hundreds of them. A child
has the environment, the folder and the log that it is given, and from there on runs as `python -m
launcher.cli` does: the product too forks (gunicorn's workers, WORKERS) after it has imported, so no
import may begin a thread or open anything. What is settled when an interpreter starts is the
server's in all children: the seed of `hash()` above all, so that processes that wrongly agreed on
hashes would agree here too. What a process imports when it starts by itself, and starts of
interpreters of their own, are tested by test_up, test_tiers_stand_alone and the tiers' own tests of
their processes.

Over its socket come lines of JSON, one for each child: `words`, `environ`, `folder`, `log`. Back go
`{"started": pid}` at once and `{"ended": pid, "code": code}` later. It ends when the socket does.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import socket
import sys
from dataclasses import dataclass
from typing import Any

# What the programs of a system import, with what their frameworks import once they run.
IMPORTED = (
    "launcher.cli",
    "launcher.monolith",
    "controller_tier.main",
    "controller_tier.http_worker",
    "service_tier.main",
    "repository_tier.main",
    "repository_tier.worker.main",
)


@dataclass(frozen=True, slots=True)
class Order:
    """What one child is to be."""

    words: list[str]
    environ: dict[str, str]
    folder: str
    log: str

    def prepare(self) -> None:
        """Make this process look as one that was started for it."""
        nothing = os.open(os.devnull, os.O_RDONLY)
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for opened, standard in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(opened, standard)
        os.close(nothing)
        os.close(log)
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(self.environ)
        # That it is the fork server's child is what its parent could not know beforehand.
        os.environ["ARCANA_PARENT_PID"] = str(os.getppid())
        sys.argv = ["arcana", *self.words]


class ForkServer:
    """Forks and waits, in one thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection, selectors.EVENT_READ)

    def serve(self) -> Order | None:
        """Fork what is asked for; return the order in each child, and None here at the end."""
        self._tell(ready=os.getpid())
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._connection:
                    self._bury(key.fd, key.data)
                    continue
                # Whoever asks waits for the answer before asking again, so no line hides behind
                # another one in the buffer.
                line = self._lines.readline()
                if not line:
                    return None
                order = Order(**json.loads(line))
                pid = os.fork()
                if pid == 0:
                    self._leave()
                    return order
                self._selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
                self._tell(started=pid)

    def _bury(self, pidfd: int, pid: int) -> None:
        self._selector.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        self._tell(ended=pid, code=os.waitstatus_to_exitcode(status))

    def _leave(self) -> None:
        """Close in the child what is the server's."""
        for key in list(self._selector.get_map().values()):
            if key.fileobj is not self._connection:
                os.close(key.fd)
        self._selector.close()
        self._lines.close()
        self._connection.close()

    def _tell(self, **facts: Any) -> None:
        self._connection.sendall(json.dumps(facts).encode() + b"\n")


def main() -> None:
    """Serve over the socket whose number is the only argument."""
    for name in IMPORTED:
        importlib.import_module(name)
    # What has been imported stays for good. Collecting it would write to every page of it in each
    # child, where forking has just saved copying them.
    gc.collect()
    gc.freeze()
    order = ForkServer(socket.socket(fileno=int(sys.argv[1]))).serve()
    if order is not None:
        order.prepare()
        importlib.import_module("launcher.cli").main()


if __name__ == "__main__":
    main()
