"""What a load balancer in front of several edges does, for a load that keeps account."""

from __future__ import annotations

import http.client
import itertools
import threading
from collections.abc import Sequence
from types import TracebackType

from tests.stores.waiting import eventually
from tests.system.client import PATIENCE_SECONDS
from tests.system.composed import Composed, address_of
from tests.system.load import Load, Question, Record

LOOK_SECONDS = 0.25
# Between two requests of a thread: what else runs on this machine starts containers meanwhile.
PACE_SECONDS = 0.03
# RFC 9110, section 9.2.2: what may be sent again when a connection ends before any answer.
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})


class Rotation:
    """The edges that are ready, in turn; looked at again and again while the block runs."""

    def __init__(self, system: Composed) -> None:
        self._system = system
        self._ready: tuple[str, ...] = ()
        self._turn = itertools.count()
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._keep_looking, daemon=True)

    def hosts(self) -> list[str]:
        """Give those that are ready, the next in turn first."""
        ready = self._ready
        if not ready:
            return []
        first = next(self._turn) % len(ready)
        return [*ready[first:], *ready[:first]]

    def __enter__(self) -> Rotation:
        self._watch.start()
        eventually(lambda: self._ready, 20, "an edge that is ready")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._watch.join(PATIENCE_SECONDS)

    def _keep_looking(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            found = [address_of(each, "edge") for each in self._system.containers("controller")]
            self._ready = tuple(host for host in found if host and _is_ready(host))


class BalancedLoad(Load):
    """A load that goes to each edge of a rotation in turn.

    As balancers do, it takes the next edge when one accepts no connection, and sends what is
    idempotent once more when a connection that was kept ends before any answer came.
    """

    def __init__(self, rotation: Rotation, questions: Sequence[Question], threads: int) -> None:
        super().__init__("http://rotation:5000", questions, threads)
        self._rotation = rotation
        self.sent_again = 0

    def _connect(self) -> http.client.HTTPConnection | None:
        for host in self._rotation.hosts():
            connection = http.client.HTTPConnection(host, self._port, timeout=PATIENCE_SECONDS)
            try:
                connection.connect()
            except OSError:
                connection.close()
                continue
            return connection
        return None

    def _ask(self, connection: http.client.HTTPConnection, question: Question) -> Record:
        self._stop.wait(PACE_SECONDS)
        record = super()._ask(connection, question)
        if not _had_no_answer(record) or question.method not in IDEMPOTENT:
            return record
        again = self._connect()
        if again is None:
            return record
        self.sent_again += 1
        try:
            return super()._ask(again, question)
        finally:
            again.close()


def _had_no_answer(record: Record) -> bool:
    ended = ("RemoteDisconnected", "ConnectionResetError", "BrokenPipeError")
    return record.fault.startswith(ended)


def _is_ready(host: str) -> bool:
    connection = http.client.HTTPConnection(host, 5000, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
