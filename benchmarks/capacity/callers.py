"""Several callers at once, each over a connection of its own, each with one request under way."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

from benchmarks.scale.caller import Caller, Request

Make = Callable[[Random], Request]


def ask_for(edge_url: str, callers: int, seconds: float, make: Make, seed: int) -> array[int]:
    """Keep callers busy for a time, and return how long each request took, in microseconds.

    Raises:
        BenchmarkError: an answer is not what it must be.
    """
    ends = time.perf_counter() + seconds

    def ask(number: int) -> array[int]:
        dice = Random(seed * 1000 + number)  # noqa: S311 - an order of requests, no secret.
        took = array("I")
        with Caller(edge_url) as caller:
            while time.perf_counter() < ends:
                took.extend(caller.time((make(dice),)))
        return took

    with ThreadPoolExecutor(callers) as pool:
        return sum(pool.map(ask, range(callers)), array("I"))
