"""Many calls at once, and a steady load that keeps account of every single call."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

from tests.stores.waiting import eventually
from tests.system.client import API, PATIENCE_SECONDS, Json

T = TypeVar("T")


def all_at_once(count: int, work: Callable[[int], T]) -> list[T]:
    """Run `work` with the numbers 0..count-1, each in a thread of its own, from one start."""
    start = threading.Barrier(count)

    def run(number: int) -> T:
        start.wait(PATIENCE_SECONDS)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@dataclass(frozen=True, slots=True)
class Question:
    """One kind of request of a load."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one request.

    Attributes:
        sent: when its last byte was handed to the kernel (time.monotonic).
        done: when its answer was whole, or the attempt given up.
        status: 0 when no whole answer came; `fault` then says why.
    """

    question: Question
    sent: float
    done: float
    status: int
    code: str = ""
    fault: str = ""
    problem: Json | None = None


class Load:
    """Threads that ask one question after the other, each over a connection that is kept open.

    A thread opens its connection and has one answer before it counts as started. When a connection
    ends, it opens the next; while none can be had, it goes on trying. Use as a context manager.
    """

    def __init__(self, url: str, questions: Sequence[Question], threads: int = 8) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 0
        self._questions = questions
        self._stop = threading.Event()
        self._records: list[list[Record]] = [[] for _ in range(threads)]
        self._threads = [
            threading.Thread(target=self._ask_on, args=(number,), daemon=True)
            for number in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        eventually(
            lambda: all(len(each) >= 3 for each in self._records), 20, "every thread of the load"
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> list[Record]:
        """Stop asking and give all records in the order in which the requests were sent."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS * 2)
            assert not thread.is_alive(), "a request of the load never ended"
        return self.records()

    def records(self) -> list[Record]:
        return sorted((each for list_ in self._records for each in list_), key=lambda r: r.sent)

    def wait_for(self, count: int, seconds: float = 10) -> None:
        """Wait until that many more requests have ended."""
        goal = len(self.records()) + count
        eventually(lambda: len(self.records()) >= goal, seconds, f"{count} more answers")

    def _ask_on(self, number: int) -> None:
        connection: http.client.HTTPConnection | None = None
        turn = number
        while not self._stop.is_set():
            if connection is None:
                connection = self._connect()
                if connection is None:
                    # The edge is away; what waits here is not a request yet.
                    self._stop.wait(0.05)
                    continue
            record = self._ask(connection, self._questions[turn % len(self._questions)])
            self._records[number].append(record)
            turn += 1
            if record.fault or connection.sock is None:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection | None:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE_SECONDS)
        try:
            connection.connect()
        except OSError:
            connection.close()
            return None
        return connection

    def _ask(self, connection: http.client.HTTPConnection, question: Question) -> Record:
        sent = time.monotonic()
        try:
            connection.request(
                question.method,
                API + question.path,
                body=question.body or None,
                headers=dict(question.headers)
                | ({"Content-Type": "application/json"} if question.body else {}),
            )
            sent = time.monotonic()
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            return Record(question, sent, time.monotonic(), 0, fault=repr(error))
        problem = json.loads(text) if response.status >= 400 and text else None
        code = str(problem.get("code", "")) if isinstance(problem, dict) else ""
        done = time.monotonic()
        return Record(question, sent, done, response.status, code, "", problem)
