"""The series of one process, in which things are counted.

Only a process whose metrics are on imports this; see `port`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tier_runtime.metrics.families import Family

MetricT = TypeVar("MetricT", bound=Counter | Gauge | Histogram)


@dataclass(frozen=True, slots=True)
class Reading:
    """A value that is looked up when somebody asks for it; its labels are in their order."""

    family: Family
    value: float
    labels: tuple[str, ...] = ()


# Looks values up. It raises nothing, and returns nothing where they cannot be known.
Read = Callable[[], Iterable[Reading]]


class Children(Generic[MetricT]):
    """The series of one family. Safe in several threads."""

    def __init__(self, metric: MetricT, labels: tuple[str, ...]) -> None:
        self._metric = metric
        # The library's own search takes as long as the counting itself.
        self._known: dict[tuple[str, ...], MetricT] = {} if labels else {(): metric}

    def of(self, *labels: str) -> MetricT:
        """Return the series with these labels, made when there is none yet."""
        child = self._known.get(labels)
        if child is None:
            child = self._known[labels] = cast(MetricT, self._metric.labels(*labels))
        return child


class Meters:
    """All series of a process. A family asked for twice is the same one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # Series that say when a counter began would double their number.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry
        self._lock = threading.Lock()
        self._known: dict[str, Counter | Gauge | Histogram] = {}
        self._reads: list[Read] = []

    def counter(self, family: Family) -> Children[Counter]:
        """Return the series of what only grows."""
        made = self._made(family, lambda: Counter(*_told(family), registry=self._registry))
        return Children(made, family.labels)

    def gauge(self, family: Family) -> Children[Gauge]:
        """Return the series of what goes up and down."""
        made = self._made(
            family,
            lambda: Gauge(*_told(family), registry=self._registry, multiprocess_mode=family.across),
        )
        return Children(made, family.labels)

    def histogram(self, family: Family) -> Children[Histogram]:
        """Return the series of what is observed."""
        made = self._made(
            family,
            lambda: Histogram(*_told(family), registry=self._registry, buckets=family.buckets),
        )
        return Children(made, family.labels)

    def look_up(self, read: Read) -> None:
        """Have values looked up whenever the metrics are read, by the process that is asked."""
        self._reads.append(read)

    def readings(self) -> list[Reading]:
        """Look all of them up."""
        return [reading for read in self._reads for reading in read()]

    def _made(self, family: Family, make: Callable[[], MetricT]) -> MetricT:
        with self._lock:
            known = self._known.get(family.name)
            if known is None:
                known = self._known[family.name] = make()
            return cast(MetricT, known)


def _told(family: Family) -> tuple[str, str, tuple[str, ...]]:
    return family.name, family.help, family.labels
