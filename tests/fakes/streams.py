"""Methods of a stub whose handler is in this process: those that take or give streams."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any

from tier_runtime.errors import AppError


class Sending:
    """A method that takes many messages, called in place or in a thread of its own."""

    def __init__(self, invoke: Callable[..., Any]) -> None:
        self._invoke = invoke

    def __call__(self, requests: Iterator[Any], timeout: float | None = None, **_: Any) -> Any:
        return self._invoke(requests)

    def future(self, requests: Iterator[Any], timeout: float | None = None, **_: Any) -> Any:
        future: Future[Any] = Future()
        # From here on it cannot be cancelled any more.
        future.set_running_or_notify_cancel()
        context = copy_context()

        def run() -> None:
            try:
                future.set_result(context.run(self._invoke, requests))
            except AppError as error:
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future


class Receiving:
    """The answers of a method that gives many, each made when it is asked for."""

    def __init__(self, answers: Generator[Any]) -> None:
        self._answers = answers
        self.is_cancelled = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.is_cancelled:
            self._answers.close()
        return next(self._answers)

    def cancel(self) -> bool:
        # Any thread may do it, so the handler is ended by the one that reads.
        self.is_cancelled = True
        return True
