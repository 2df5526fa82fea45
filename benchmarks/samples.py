"""What one variant gave in one round, and how it is written down without loss."""

from __future__ import annotations

import base64
import sys
import zlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.ratios import percentile

PERCENTS = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Sample:
    """The calls that ended within the measured time of one round.

    Attributes:
        seconds: the measured time.
        latencies_us: of every call, in microseconds, in the order in which they ended.
        cpu_seconds: what each process took in that time, by its name.
    """

    seconds: float
    latencies_us: array[int]
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many calls ended."""
        return len(self.latencies_us)

    @property
    def throughput(self) -> float:
        """Calls per second."""
        return self.count / self.seconds

    @property
    def cpu_per_1000(self) -> dict[str, float]:
        """CPU seconds that each process took per 1,000 calls."""
        return {name: 1000 * used / self.count for name, used in self.cpu_seconds.items()}

    def percentiles_us(self) -> dict[int, float]:
        """Return p50, p95 and p99 in microseconds."""
        ordered = sorted(self.latencies_us)
        return {percent: percentile(ordered, percent) for percent in PERCENTS}

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON; `from_dict` gives it back unchanged."""
        return {
            "seconds": self.seconds,
            "cpu_seconds": dict(self.cpu_seconds),
            "latencies_us": packed(self.latencies_us),
        }

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> Sample:
        """Return the sample that `to_dict` wrote."""
        return cls(
            known["seconds"],
            unpacked(known["latencies_us"]),
            known["cpu_seconds"],
        )


def packed(numbers: array[int]) -> str:
    """Return unsigned numbers as base64 of zlib of 32-bit little-endian words."""
    words = array("I", numbers)
    if sys.byteorder == "big":
        words.byteswap()
    return base64.b64encode(zlib.compress(words.tobytes(), 6)).decode("ascii")


def unpacked(text: str) -> array[int]:
    """Return the numbers that `packed` wrote."""
    words = array("I")
    words.frombytes(zlib.decompress(base64.b64decode(text)))
    if sys.byteorder == "big":
        words.byteswap()
    return words
