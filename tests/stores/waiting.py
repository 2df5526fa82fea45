"""Waiting on a condition with a limit: the one place of the tests that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(
    condition: Callable[[], T],
    seconds: float = 5.0,
    what: str = "the condition",
    interval: float = 0.02,
) -> T:
    """Call `condition` until its answer is truthy, and give that answer back.

    An AssertionError inside the condition counts as "not yet"; the last one becomes the cause.

    Raises:
        AssertionError: when `seconds` have passed.
    """
    ends = time.monotonic() + seconds
    while True:
        problem: AssertionError | None = None
        try:
            answer = condition()
            if answer:
                return answer
        except AssertionError as error:
            problem = error
        if time.monotonic() >= ends:
            raise AssertionError(f"{what}: not within {seconds:g} s") from problem
        time.sleep(interval)
