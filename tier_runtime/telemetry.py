"""What a process tells of itself beside its log: what it counts, and its traces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tier_runtime.tracing.opening import open_tracing
from tier_runtime.tracing.settings import TracingSettings
from tier_runtime.tracing.spans import NO_TRACING, Tracing

if TYPE_CHECKING:
    from tier_runtime.metrics.meters import Meters
    from tier_runtime.metrics.port import MetricsPort


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Handed to everything that is watched. Whoever opened it closes it.

    Attributes:
        meters: what is counted in; None counts nothing.
        tracing: makes the spans.
    """

    meters: Meters | None = None
    tracing: Tracing = NO_TRACING

    def close(self) -> None:
        """Hand on what is recorded, which takes two seconds at most, and record no more."""
        self.tracing.close()


NO_TELEMETRY = Telemetry()


def open_telemetry(metrics: MetricsPort | None, tracing: TracingSettings) -> Telemetry:
    """Return the telemetry of this process.

    Call it after the fork, which no part of it survives.
    """
    return Telemetry(None if metrics is None else metrics.meters(), open_tracing(tracing))
