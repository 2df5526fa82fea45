"""Tracing whose spans stay in this process, for tests to look at."""

from __future__ import annotations

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanContext

from tier_runtime.tracing.otel import OtelTracing

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CALLER = f"00-{TRACE_ID}-b7ad6b7169203331-01"
UNRECORDED = f"00-{TRACE_ID}-b7ad6b7169203331-00"


class Recorded:
    """A process's tracing and what it has recorded. Sampled are `ratio` of new traces."""

    def __init__(self, ratio: float = 1.0) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)), shutdown_on_exit=False
        )
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracing = OtelTracing(provider, provider.shutdown)

    @property
    def spans(self) -> list[ReadableSpan]:
        """Those that have ended, in that order."""
        return list(self._exporter.get_finished_spans())

    @property
    def only(self) -> ReadableSpan:
        """The one span that has ended."""
        (span,) = self.spans
        return span


def parent_of(span: ReadableSpan) -> str:
    """Give the id of a span's parent in hexadecimal digits, "" for none."""
    return f"{span.parent.span_id:016x}" if span.parent else ""


def context_of(span: ReadableSpan) -> SpanContext:
    """Give where a span stands."""
    context = span.get_span_context()
    assert context is not None
    return context


def id_of(span: ReadableSpan) -> str:
    """Give the id of a span in hexadecimal digits."""
    return f"{context_of(span).span_id:016x}"
