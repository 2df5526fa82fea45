"""Who asks for what: the part of a request that crosses every tier unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from tier_runtime.deadline import Deadline
from tier_runtime.tracing.spans import Carried


@dataclass(frozen=True, slots=True)
class Actor:
    """The one on whose behalf a call is made; without a subject it is anonymous."""

    subject: str = ""
    roles: frozenset[str] = frozenset()
    session_id: str = ""

    @property
    def is_anonymous(self) -> bool:
        """True when nobody is signed in."""
        return not self.subject


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way through the tiers."""

    actor: Actor
    request_id: str
    deadline: Deadline
    # Where it stands in its trace, and what that trace's tools say to one another.
    traceparent: str = ""
    tracestate: str = ""
    # The spans of other requests for which its RPCs are made as well.
    links: tuple[str, ...] = ()

    @property
    def carried(self) -> Carried:
        """What a span that begins in this call belongs to."""
        return Carried(self.traceparent, self.tracestate)


# Only outgoing stubs and the log read it. Handlers get actor, request id and deadline from
# their RpcContext: below the view nothing depends on ambient state.
_current: ContextVar[Call | None] = ContextVar("arcana_call", default=None)


def current_call() -> Call | None:
    """Return the call that this thread is serving, or None outside of one."""
    return _current.get()


@contextmanager
def shared_scope(spans: Iterable[str]) -> Iterator[None]:
    """Have the RPCs inside the block linked with those spans too: they are made for all of them."""
    call = _current.get()
    others = () if call is None else tuple(each for each in spans if each != call.traceparent)
    if call is None or not others:
        yield
        return
    with call_scope(replace(call, links=others)):
        yield


@contextmanager
def call_scope(call: Call) -> Iterator[Call]:
    """Make every outgoing RPC and log line inside the block belong to this call.

    A thread started inside the block does not inherit it; open the scope there again.
    """
    token = _current.set(call)
    try:
        yield call
    finally:
        _current.reset(token)
