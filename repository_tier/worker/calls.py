"""Calls of the worker to the service tier, in the system's own name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError
from tier_runtime.tracing.spans import NO_TRACING, NOTHING_CARRIED, Tracing

SYSTEM = Actor(subject="system", roles=frozenset({"admin"}))


class SystemCalls:
    """Makes calls that nobody asked for: each begins a trace of its own."""

    def __init__(self, tracing: Tracing = NO_TRACING) -> None:
        self._tracing = tracing

    @contextmanager
    def named(self, name: str, request_id: str, seconds: float) -> Iterator[None]:
        """Make the RPCs inside the block as the system, under this request id.

        The name is that of its span: what is done, with nothing that differs each time.
        """
        span = self._tracing.work(name, NOTHING_CARRIED)
        failure = ""
        call = Call(SYSTEM, request_id, Deadline.after(seconds), span.traceparent)
        try:
            with call_scope(call):
                yield
        except AppError as error:
            failure = error.code
            raise
        finally:
            span.end(failure)
