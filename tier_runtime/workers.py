"""Several processes of one tier: a supervisor that forks them and serves nothing itself.

gRPC's objects do not survive a fork, so the processes are forked before the first one exists, and
each builds its own tier.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType

from tier_runtime.logs import get_logger
from tier_runtime.parent import end_with_parent
from tier_runtime.startup import EXIT_NOT_STARTED

# How soon a worker that ended by itself is started again, in seconds: at first, and at most.
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
# One that served for so long was well, so the pauses begin anew.
WELL_SECONDS = 10.0

_STOP, _CHILD, _READY = b"s", b"c", b"r"


@dataclass
class _Worker:
    """One place for a process, and the process in it."""

    number: int
    pid: int = 0
    started_at: float = 0.0
    # How many in a row have ended soon, and when the next may start.
    failures: int = 0
    due_at: float = 0.0


def run_workers(count: int, serve: Callable[[int, Callable[[], None]], int]) -> int:
    """Run that many processes until SIGTERM or SIGINT, and return the exit code.

    `serve(number, ready)` runs in each and returns its exit code; it calls `ready` once it
    serves. The second and all further ones are forked when the first is ready, so what keeps it
    from starting is told once and ends the whole. One that ends later is started again, after
    pauses that grow. A signal is passed on to all as SIGTERM, each time; 0 is returned when all
    have ended with 0.

    It returns in every process: in a worker what `serve` returned. It belongs in the main thread
    of a process that has no other.
    """
    supervisor = _Supervisor(count)
    number = supervisor.watch()
    if number is None:
        return supervisor.exit_code
    return serve(number, supervisor.tell_ready)


class _Supervisor:
    def __init__(self, count: int) -> None:
        self._workers = [_Worker(number) for number in range(count)]
        self._log = get_logger(__name__)
        self._pid = os.getpid()
        # Signals, and workers that are ready, wake the supervisor through one pipe.
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._is_stopping = False
        self._is_first_ready = False
        self.exit_code = 0

    def tell_ready(self) -> None:
        """Say that this worker serves."""
        os.write(self._writer, _READY)

    def watch(self) -> int | None:
        """Keep the workers running; return a worker's number in it, None when all have ended."""
        before = {
            number: signal.signal(number, self._wake)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        }
        while self._is_wanted():
            for worker in self._due():
                if self._fork(worker) == 0:
                    return worker.number
            self._wait()
            self._reap()
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)
        self._log.info("workers_ended", exit_code=self.exit_code)
        return None

    def _is_wanted(self) -> bool:
        return not self._is_stopping or any(worker.pid for worker in self._workers)

    def _due(self) -> list[_Worker]:
        if self._is_stopping:
            return []
        now = time.monotonic()
        workers = self._workers if self._is_first_ready else self._workers[:1]
        return [worker for worker in workers if not worker.pid and worker.due_at <= now]

    def _fork(self, worker: _Worker) -> int:
        # Between the fork and handlers of its own a worker would lose a signal in its copy of
        # the pipe, so it stays pending.
        blocked = {signal.SIGTERM, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
        try:
            worker.pid, worker.started_at = os.fork(), time.monotonic()
            if worker.pid == 0:
                self._become_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)
        return worker.pid

    def _become_worker(self) -> None:
        os.close(self._reader)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # A terminal sends it to every process at once; the supervisor passes it on as SIGTERM.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if not end_with_parent(self._pid):
            os.kill(os.getpid(), signal.SIGTERM)

    def _wait(self) -> None:
        pauses = [worker.due_at for worker in self._workers if not worker.pid and worker.due_at]
        timeout = None
        if pauses and not self._is_stopping:
            timeout = max(min(pauses) - time.monotonic(), 0.0)
        if not any(worker.pid for worker in self._workers) and timeout is None:
            return
        if not select.select([self._reader], [], [], timeout)[0]:
            return
        told = os.read(self._reader, 1024)
        self._is_first_ready = self._is_first_ready or _READY in told
        for _ in range(told.count(_STOP)):
            self._stop()

    def _stop(self) -> None:
        self._is_stopping = True
        for worker in self._workers:
            if worker.pid:
                os.kill(worker.pid, signal.SIGTERM)

    def _reap(self) -> None:
        for worker in self._workers:
            if worker.pid:
                pid, status = os.waitpid(worker.pid, os.WNOHANG)
                if pid:
                    worker.pid = 0
                    self._ended(worker, os.waitstatus_to_exitcode(status))

    def _ended(self, worker: _Worker, code: int) -> None:
        if self._is_stopping:
            # One that had no handler yet had nothing in flight either.
            if code not in {0, -signal.SIGTERM}:
                self.exit_code = max(code, 1)
            return
        if code == EXIT_NOT_STARTED and not self._is_first_ready:
            # It has said why, and so would all others and each of their successors.
            self.exit_code = code
            self._is_stopping = True
            return
        now = time.monotonic()
        worker.failures = 0 if now - worker.started_at >= WELL_SECONDS else worker.failures + 1
        pause = min(FIRST_PAUSE_SECONDS * 2**worker.failures, LONGEST_PAUSE_SECONDS)
        worker.due_at = now + pause
        self._log.warning("worker_ended", worker=worker.number, exit_code=code, again_in=pause)

    def _wake(self, number: int, _frame: FrameType | None) -> None:
        told = _CHILD if number == signal.SIGCHLD else _STOP
        # A pipe that is full wakes the supervisor too.
        with suppress(BlockingIOError):
            os.write(self._writer, told)
