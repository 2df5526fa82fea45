"""Calls of the worker to the service tier, in the system's own name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline

SYSTEM = Actor(subject="system", roles=frozenset({"admin"}))


@contextmanager
def system_call(request_id: str, seconds: float) -> Iterator[None]:
    """Make the RPCs inside the block as the system, under this request id."""
    with call_scope(Call(SYSTEM, request_id, Deadline.after(seconds))):
        yield
