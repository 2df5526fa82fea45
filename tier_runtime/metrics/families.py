"""What a family of series is, before anything is counted in it.

A declaration needs no library: a process whose metrics are off imports none, and the documentation,
the dashboards and the rules are made from the same declarations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
# How a gauge is put together from several processes: their sum, or the largest.
Across = Literal["livesum", "livemax"]

# From a read that the cache answers to the longest that a request may take, in seconds.
LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Family:
    """Series of one name, which differ in the values of their labels.

    Each label takes few values, which our own code knows; nothing that a caller makes up is one.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    across: Across = "livesum"

    @property
    def sample_names(self) -> tuple[str, ...]:
        """The names under which Prometheus keeps its samples."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))
        return (self.name,)


def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Family:
    """Declare what only grows; its name ends in `_total`."""
    return Family(name, "counter", text, labels)


def gauge(
    name: str, text: str, labels: tuple[str, ...] = (), *, across: Across = "livesum"
) -> Family:
    """Declare what goes up and down."""
    return Family(name, "gauge", text, labels, across=across)


def histogram(
    name: str,
    text: str,
    labels: tuple[str, ...] = (),
    *,
    buckets: tuple[float, ...] = LATENCY_BUCKETS,
) -> Family:
    """Declare what is observed again and again; the buckets are its upper bounds."""
    return Family(name, "histogram", text, labels, buckets)
