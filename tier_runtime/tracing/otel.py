"""Tracing by OpenTelemetry: the spans, their names and attributes.

Names are those of OpenTelemetry's semantic conventions. Every attribute is set here, and none holds
what a client or a user has written: no path, no query string, no address, no parameter, no text of
an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.semconv._incubating.attributes import rpc_attributes
from opentelemetry.semconv.attributes import (
    db_attributes,
    error_attributes,
    http_attributes,
    server_attributes,
)
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, StatusCode
from opentelemetry.trace.span import TraceFlags, TraceState

from tier_runtime.tracing.spans import (
    NO_SPAN,
    Carried,
    EdgeSpan,
    Query,
    RpcSpan,
    WorkSpan,
    is_recorded,
)

Attributes = Mapping[str, str | int]

# What is a failure of the one who serves; the other codes tell the caller of a mistake of its own
# (https://opentelemetry.io/docs/specs/semconv/rpc/grpc/).
_SERVER_FAULTS = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
_FIRST_SERVER_STATUS = 500
# The conventions' word for a method that is none of HTTP's.
_OTHER_VERB = "_OTHER"
_VERBS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)


class OtelTracing:
    """Implements Tracing. `on_close` is called when no more spans come."""

    is_on: bool = True

    def __init__(self, provider: TracerProvider, on_close: Callable[[], None]) -> None:
        self._tracer = provider.get_tracer("arcana")
        self._on_close = on_close

    def edge(self, verb: str, route: str, carried: Carried) -> EdgeSpan:
        """Begin the span of an HTTP request, in the trace that it came with or in a new one."""
        if _is_unrecorded(carried):
            return NO_SPAN
        known = verb if verb in _VERBS else _OTHER_VERB
        attributes: dict[str, str | int] = {http_attributes.HTTP_REQUEST_METHOD: known}
        if route:
            attributes[http_attributes.HTTP_ROUTE] = route
        name = f"{known if known != _OTHER_VERB else 'HTTP'} {route}".rstrip()
        return _EdgeSpan(self._begin(name, SpanKind.SERVER, attributes, carried))

    def served(
        self, method: str, transport: str, carried: Carried, *, begins: bool = False
    ) -> RpcSpan:
        """Begin the span of an RPC that came in; without a trace only if it begins them."""
        if _is_unrecorded(carried) or not (begins or carried.traceparent):
            return NO_SPAN
        name = method.removeprefix("/")
        attributes = {
            rpc_attributes.RPC_SYSTEM_NAME: transport,
            rpc_attributes.RPC_METHOD: name,
        }
        span = self._begin(name, SpanKind.SERVER, attributes, carried)
        return _RpcSpan(span, _SERVER_FAULTS)

    def called(
        self, method: str, transport: str, peer: str, carried: Carried, links: Sequence[str] = ()
    ) -> RpcSpan:
        """Begin the span of an RPC that goes out; there is none outside of a recorded trace."""
        if not is_recorded(carried.traceparent):
            return NO_SPAN
        name = method.removeprefix("/")
        attributes: dict[str, str | int] = {
            rpc_attributes.RPC_SYSTEM_NAME: transport,
            rpc_attributes.RPC_METHOD: name,
            **_server(peer),
        }
        span = self._begin(name, SpanKind.CLIENT, attributes, carried, links)
        return _RpcSpan(span, None)

    def work(self, name: str, carried: Carried, links: Sequence[str] = ()) -> WorkSpan:
        """Begin the span of something else, in the trace that is carried or in a new one."""
        if _is_unrecorded(carried):
            return NO_SPAN
        return _WorkSpan(self._begin(name, SpanKind.INTERNAL, {}, carried, links))

    def asked(self, query: Query, carried: Carried) -> WorkSpan:
        """Begin the span of what a store is asked; there is none outside of a recorded trace."""
        if not is_recorded(carried.traceparent):
            return NO_SPAN
        told: dict[str, str | int] = {
            db_attributes.DB_SYSTEM_NAME: query.system,
            db_attributes.DB_OPERATION_NAME: query.operation,
            db_attributes.DB_COLLECTION_NAME: query.collection,
            db_attributes.DB_QUERY_TEXT: query.text,
            db_attributes.DB_NAMESPACE: query.namespace,
            server_attributes.SERVER_ADDRESS: query.host,
            server_attributes.SERVER_PORT: query.port,
        }
        attributes = {key: value for key, value in told.items() if value}
        name = f"{query.operation} {query.collection or query.namespace}".rstrip()
        return _WorkSpan(self._begin(name, SpanKind.CLIENT, attributes, carried))

    def close(self) -> None:
        """Hand on what is recorded, and record no more."""
        self._on_close()

    def _begin(
        self,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        carried: Carried,
        links: Sequence[str] = (),
    ) -> trace.Span:
        # A context of its own: the current one, in OpenTelemetry's sense, is nobody's here.
        context = trace.set_span_in_context(
            NonRecordingSpan(_context_of(carried.traceparent, carried.tracestate))
            if carried.traceparent
            else trace.INVALID_SPAN
        )
        linked = [Link(_context_of(link)) for link in links if link != carried.traceparent]
        return self._tracer.start_span(name, context, kind, attributes, linked)


class _OtelSpan:
    """What all kinds share."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        context = span.get_span_context()
        # W3C Trace Context, section 3.2.
        self.traceparent = (
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 1:02x}"
        )

    def _fail(self, error: str) -> None:
        self._span.set_status(StatusCode.ERROR)
        self._span.set_attribute(error_attributes.ERROR_TYPE, error)


class _WorkSpan(_OtelSpan):
    def end(self, error: str = "", /) -> None:
        if error:
            self._fail(error)
        self._span.end()


class _RpcSpan(_OtelSpan):
    def __init__(self, span: trace.Span, faults: frozenset[str] | None) -> None:
        super().__init__(span)
        # The codes that stand for a failure; None: all but OK.
        self._faults = faults
        self._is_over = False

    def end(self, code: str, error: str = "", /) -> None:
        # A stream can be found over at several places.
        if self._is_over:
            return
        self._is_over = True
        if self._span.is_recording():
            self._span.set_attribute(rpc_attributes.RPC_RESPONSE_STATUS_CODE, code)
            if code in self._faults if self._faults is not None else code != "OK":
                self._fail(error or code)
            elif error:
                self._span.set_attribute(error_attributes.ERROR_TYPE, error)
        self._span.end()


class _EdgeSpan(_OtelSpan):
    def answered(self, status: int, error: str | None) -> None:
        self._span.set_attribute(http_attributes.HTTP_RESPONSE_STATUS_CODE, status)
        if status >= _FIRST_SERVER_STATUS:
            self._fail(error or str(status))
        elif error:
            self._span.set_attribute(error_attributes.ERROR_TYPE, error)

    def end(self) -> None:
        self._span.end()


def _is_unrecorded(carried: Carried) -> bool:
    """True where it was decided that nobody records: what came is passed on as it is."""
    return bool(carried.traceparent) and not is_recorded(carried.traceparent)


def _context_of(traceparent: str, tracestate: str = "") -> SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")[:4]
    return SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16) & TraceFlags.SAMPLED),
        trace_state=TraceState.from_header([tracestate]) if tracestate else None,
    )


def _server(peer: str) -> Attributes:
    """Return the attributes of where a call goes: "host:port", several of them, or a name."""
    host, _, port = peer.rpartition(":")
    if host and port.isdecimal() and "," not in peer:
        return {
            server_attributes.SERVER_ADDRESS: host.lstrip("/"),
            server_attributes.SERVER_PORT: int(port),
        }
    return {server_attributes.SERVER_ADDRESS: peer} if peer else {}
