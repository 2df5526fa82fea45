"""Spans on their way to a collector: batched, bounded, and never waited for."""

from __future__ import annotations

import os
import threading
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.semconv._incubating.attributes import process_attributes
from opentelemetry.semconv.attributes import service_attributes

from tier_runtime.tracing.otel import OtelTracing
from tier_runtime.tracing.settings import TracingSettings
from tier_runtime.version import program_version

# A collector that is away costs spans, never requests: what does not fit in here is dropped.
MAX_WAITING = 2048
BATCH = 512
BATCH_SECONDS = 1.0
# How long one batch is tried, and how long all may take that is left when the process ends.
EXPORT_SECONDS = 5.0
CLOSE_SECONDS = 1.5
ABORT_SECONDS = 0.5
# Of an attribute, such as a statement.
MAX_CHARACTERS = 2048
MAX_LINKS = 64


def open_otlp(settings: TracingSettings) -> OtelTracing:
    """Return tracing that sends to the endpoint of the settings. Nothing is connected yet."""
    exporter = OTLPSpanExporter(
        endpoint=settings.endpoint,
        insecure=urlsplit(settings.endpoint).scheme == "http",
        headers=settings.headers,
        timeout=EXPORT_SECONDS,
        # A collector is never behind the proxy that the environment names for the internet.
        channel_options=(("grpc.enable_http_proxy", 0),),  # type: ignore[arg-type]  # gRPC takes numbers.
    )
    provider = TracerProvider(
        # A caller that has decided is followed; the others are decided by their trace's id.
        sampler=ParentBased(TraceIdRatioBased(settings.ratio)),
        resource=Resource.create(
            {
                service_attributes.SERVICE_NAME: settings.service_name,
                service_attributes.SERVICE_VERSION: program_version(),
                process_attributes.PROCESS_PID: os.getpid(),
            }
        ),
        # Whoever opened it closes it, and waits for no longer than `close` says.
        shutdown_on_exit=False,
        span_limits=SpanLimits(max_span_attribute_length=MAX_CHARACTERS, max_links=MAX_LINKS),
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter,
            max_queue_size=MAX_WAITING,
            schedule_delay_millis=BATCH_SECONDS * 1000,
            max_export_batch_size=BATCH,
        )
    )
    return OtelTracing(provider, lambda: _close(provider, exporter))


def _close(provider: TracerProvider, exporter: OTLPSpanExporter) -> None:
    """Send what waits, and give up when that takes too long: a collector may be gone."""
    closing = threading.Thread(target=provider.shutdown, name="tracing close", daemon=True)
    closing.start()
    closing.join(CLOSE_SECONDS)
    if closing.is_alive():
        # It pauses between two attempts, and this ends the pause.
        exporter.shutdown()
        closing.join(ABORT_SECONDS)
