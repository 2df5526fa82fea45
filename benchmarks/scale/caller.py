"""One caller at a shop's edge, over one kept-alive connection. A wrong answer ends the run."""

from __future__ import annotations

import http.client
import json
import time
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from benchmarks.worker import BenchmarkError

API = "/api/v1"
# Longer than any deadline of the edge: whatever takes this long is a fault.
PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and what its answer must be.

    Attributes:
        path: without the base path.
        body: becomes JSON; None: there is none.
        answer: what the body of the answer must hold.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    status: int = 200
    answer: str = ""


class Caller:
    """Sends one request after the other. Use as a context manager."""

    def __init__(self, edge_url: str) -> None:
        address = urlsplit(edge_url)
        self._connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=PATIENCE_SECONDS
        )

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, request: Request) -> Any:
        """Send a request and return the JSON of its answer.

        Raises:
            BenchmarkError: it is not what it must be.
        """
        _, answer = self._exchange(request)
        return json.loads(answer)

    def time(self, requests: Iterable[Request]) -> array[int]:
        """Send requests and return how long each took, in microseconds, to its last byte.

        Raises:
            BenchmarkError: an answer is not what it must be.
        """
        return array("I", [int(self._exchange(request)[0] * 1e6) for request in requests])

    def _exchange(self, request: Request) -> tuple[float, bytes]:
        headers = {"Accept": "application/json", **request.headers}
        body = None
        if request.body is not None:
            body, headers["Content-Type"] = json.dumps(request.body), "application/json"
        try:
            began = time.perf_counter()
            self._connection.request(request.method, API + request.path, body, headers)
            response = self._connection.getresponse()
            answer = response.read()
            seconds = time.perf_counter() - began
        except (OSError, http.client.HTTPException) as error:
            raise BenchmarkError(f"{request.method} {request.path}: {error!r}") from error
        if response.status != request.status or request.answer.encode() not in answer:
            raise BenchmarkError(
                f"{request.method} {request.path}: {response.status}, {answer[:400]!r}"
            )
        return seconds, answer
