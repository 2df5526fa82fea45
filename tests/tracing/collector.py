"""A real collector of traces: what speaks OTLP over gRPC can send to it, and tests can ask it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2


@dataclass(frozen=True, slots=True)
class CollectedSpan:
    """A span as it came over the wire; ids are in hexadecimal digits."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    is_failed: bool
    links: tuple[str, ...]
    tracestate: str
    attributes: Mapping[str, object]
    # All that was sent of it, to look for what must not be there.
    wire: str


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps all spans that it is sent, and what came along with them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[CollectedSpan] = []
        self.metadata: list[tuple[str, str | bytes]] = []
        self.endpoint = ""

    def Export(
        self,
        request: trace_service_pb2.ExportTraceServiceRequest,
        context: grpc.ServicerContext,
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        found = [
            _span(span, _values(of_resource.resource.attributes))
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]
        with self._lock:
            self._spans += found
            self.metadata += context.invocation_metadata()
        return trace_service_pb2.ExportTraceServiceResponse()

    @property
    def spans(self) -> list[CollectedSpan]:
        """All spans that have come."""
        with self._lock:
            return list(self._spans)

    def trace(self, trace_id: str) -> list[CollectedSpan]:
        """Give the spans of a trace that have come."""
        return [span for span in self.spans if span.trace_id == trace_id]


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a free port of this machine."""
    collector = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    add(collector, server)
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(0).wait()


def _span(span: trace_pb2.Span, resource: Mapping[str, object]) -> CollectedSpan:
    return CollectedSpan(
        service=str(resource["service.name"]),
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        is_failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        links=tuple(link.span_id.hex() for link in span.links),
        tracestate=span.trace_state,
        attributes=_values(span.attributes),
        wire=str(span),
    )


def _values(attributes: Iterable[KeyValue]) -> dict[str, object]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value")
        for each in attributes
    }
