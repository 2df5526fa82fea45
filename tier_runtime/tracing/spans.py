"""Tracing as a port: what the tiers tell of a request on its way, and the one that tells nobody.

A span's place in its trace travels as text, as `Call.traceparent` and `Call.tracestate`: what is
sent on and what is logged is the same whether this tier traces, and no library's own notion of a
current span takes part. A tier that does not trace passes on what it got.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

# W3C Trace Context, section 3.2.2.5.1: the last bit of the flags says that somebody records.
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class Carried:
    """What came along with a request, in the words of W3C Trace Context; "" for nothing."""

    traceparent: str = ""
    tracestate: str = ""


NOTHING_CARRIED: Final = Carried()


def is_recorded(traceparent: str) -> bool:
    """True when the text names a span that somebody records."""
    return bool(traceparent) and bool(int(traceparent[-2:], 16) & _SAMPLED)


class WorkSpan(Protocol):
    """Something that is being done."""

    @property
    def traceparent(self) -> str:
        """The span as what it calls is to be told of it; "" where there is no trace."""
        ...

    def end(self, error: str = "", /) -> None:
        """Say that it is over, and if it failed, by which error code."""
        ...


class RpcSpan(Protocol):
    """An RPC, on either side."""

    @property
    def traceparent(self) -> str:
        """The span as what it calls is to be told of it; "" where there is no trace."""
        ...

    def end(self, code: str, error: str = "", /) -> None:
        """Say that it is over, with the name of its gRPC status and the error code of ours."""
        ...


class EdgeSpan(Protocol):
    """A request at the edge."""

    @property
    def traceparent(self) -> str:
        """The span as what it calls is to be told of it; "" where there is no trace."""
        ...

    def answered(self, status: int, error: str | None) -> None:
        """Say with which HTTP status it is answered, and by which error code if it failed."""
        ...

    def end(self) -> None:
        """Say that it is over."""
        ...


@dataclass(frozen=True, slots=True)
class Query:
    """What a store is asked.

    Attributes:
        system: the kind of store, in the words of OpenTelemetry's conventions.
        operation: the command, such as `SELECT` or `EVALSHA`.
        collection: the table that it is mainly about; "" where that is not known.
        text: the statement without its values; "" for none.
        namespace: the database.
        host: where the store is; "" inside this process.
        port: the port there, 0 for none.
    """

    system: str
    operation: str
    collection: str = ""
    text: str = ""
    namespace: str = ""
    host: str = ""
    port: int = 0


class Tracing(Protocol):
    """Makes the spans of one process. Safe to use from several threads."""

    @property
    def is_on(self) -> bool:
        """False where nobody is told of anything."""
        ...

    def edge(self, verb: str, route: str, carried: Carried) -> EdgeSpan:
        """Begin the span of an HTTP request, in the trace that it came with or in a new one."""
        ...

    def served(
        self, method: str, transport: str, carried: Carried, *, begins: bool = False
    ) -> RpcSpan:
        """Begin the span of an RPC that came in, as "/package.Service/Method".

        One that came without a trace begins a new one only if it `begins` them, as an edge does:
        inside, what comes without one is what the tiers ask one another by themselves.
        """
        ...

    def called(
        self, method: str, transport: str, peer: str, carried: Carried, links: Sequence[str] = ()
    ) -> RpcSpan:
        """Begin the span of an RPC that goes out; there is none outside of a recorded trace.

        `links` are the spans of other requests for which it is made as well.
        """
        ...

    def work(self, name: str, carried: Carried, links: Sequence[str] = ()) -> WorkSpan:
        """Begin the span of something else, in the trace that is carried or in a new one."""
        ...

    def asked(self, query: Query, carried: Carried) -> WorkSpan:
        """Begin the span of what a store is asked; there is none outside of a recorded trace."""
        ...

    def close(self) -> None:
        """Hand on what is recorded, which takes two seconds at most, and record no more."""
        ...


class NoSpan:
    """A span that nobody records: it implements all kinds."""

    traceparent: str = ""

    def answered(self, status: int, error: str | None) -> None:
        """Do nothing."""

    def end(self, code: str = "", error: str = "", /) -> None:
        """Do nothing."""


NO_SPAN: Final = NoSpan()


class NoTracing:
    """Implements Tracing where nobody wants to know."""

    is_on: bool = False

    def edge(self, verb: str, route: str, carried: Carried) -> NoSpan:
        """Begin nothing."""
        del verb, route, carried
        return NO_SPAN

    def served(
        self, method: str, transport: str, carried: Carried, *, begins: bool = False
    ) -> NoSpan:
        """Begin nothing."""
        del method, transport, carried, begins
        return NO_SPAN

    def called(
        self, method: str, transport: str, peer: str, carried: Carried, links: Sequence[str] = ()
    ) -> NoSpan:
        """Begin nothing."""
        del method, transport, peer, carried, links
        return NO_SPAN

    def work(self, name: str, carried: Carried, links: Sequence[str] = ()) -> NoSpan:
        """Begin nothing."""
        del name, carried, links
        return NO_SPAN

    def asked(self, query: Query, carried: Carried) -> NoSpan:
        """Begin nothing."""
        del query, carried
        return NO_SPAN

    def close(self) -> None:
        """Do nothing."""


NO_TRACING: Final = NoTracing()
