"""How a process gets its tracing. Nothing of OpenTelemetry is loaded where there is none."""

from __future__ import annotations

from tier_runtime.tracing.settings import TracingSettings
from tier_runtime.tracing.spans import NO_TRACING, Tracing


def open_tracing(settings: TracingSettings) -> Tracing:
    """Return the tracing of this process, whose caller closes it. Call it after the fork.

    It has a thread and a connection of its own, and neither survives one.
    """
    if not settings.endpoint:
        return NO_TRACING
    # It takes a quarter of a second to load.
    from tier_runtime.tracing.otlp import open_otlp  # noqa: PLC0415 - see above.

    return open_otlp(settings)
